// The gate for servers that are a function of a Request.
import { library, record } from './core.js';

// `policy` is a Policy, or a function that gives the one in force. A Request no longer has its target as it
// was received, so no path is exempt; a server that knows it says so by `target`, a function of the request.
export function guard(policy, handler, { target, log, explain = false } = {}) {
  const current = typeof policy === 'function' ? policy : () => policy;
  return async (request, ...rest) => {
    const gate = current();
    const headers = [...request.headers].flat();
    const received = target?.(request) ?? '#'; // which has no path
    const decision = gate.decide(request.method, received, headers);
    log?.({
      ...record(gate, decision),
      ...(explain && { findings: gate.findings(request.method, received, headers) }),
    });
    if (!decision.allow) {
      const denial = gate.denial(decision);
      return new Response(request.method === 'HEAD' ? null : denial.body, denial);
    }
    const drops = gate.drops(decision, headers);
    const left = new Headers();
    for (const [i, drop] of drops.entries()) if (!drop) left.append(headers[2 * i], headers[2 * i + 1]);
    const identity = gate.identityHeader;
    if (identity && decision.reason === 'key_matched' && decision.label) left.set(identity, decision.label);
    return handler(new Request(request, { headers: left }), ...rest, decision);
  };
}

export { library };

/*
 * keygate for nginx: each request is put to the library in the access phase, and what the library
 * says is carried out. Nothing is decided here.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <keygate.h>


#define NGX_HTTP_KEYGATE_FILE_MAX  65536
#define NGX_HTTP_KEYGATE_FEW       16


/* The text of a key, wiped once the policies are made. */
typedef struct ngx_http_keygate_secret_s  ngx_http_keygate_secret_t;

struct ngx_http_keygate_secret_s {
    ngx_http_keygate_secret_t  *next;
    size_t                      len;
    u_char                      data[1];
};


typedef struct {
    ngx_int_t                   mode;
    ngx_flag_t                  lan;
    ngx_array_t                *keys;       /* of keygate_key */
    ngx_array_t                *sources;    /* of keygate_source */
    ngx_array_t                *exempt;     /* of keygate_str */
} ngx_http_keygate_settings_t;


typedef struct {
    ngx_http_keygate_settings_t  settings;
    uint64_t                     lengths;   /* bit n: a source's name has n bytes */
    keygate_policy               policy;
} ngx_http_keygate_policy_t;


typedef struct {
    ngx_http_keygate_secret_t  *secrets;
    ngx_array_t                 policies;   /* of ngx_http_keygate_policy_t * */
    ngx_uint_t                  used;
} ngx_http_keygate_main_conf_t;


typedef struct {
    ngx_flag_t                   enable;
    ngx_flag_t                   strip;
    ngx_flag_t                   explain;
    ngx_http_keygate_settings_t  settings;
    ngx_str_t                    file;      /* where "keygate on" stands */
    ngx_uint_t                   line;
    ngx_http_keygate_policy_t   *policy;    /* NULL where the gate is off */
} ngx_http_keygate_loc_conf_t;


typedef struct {
    ngx_http_keygate_policy_t  *policy;     /* which decided */
    keygate_decision            decision;
    ngx_list_t                  received;   /* the headers before any was stripped */
    ngx_chain_t                *body;       /* for the denial, until it is sent */
    unsigned                    passed:1;   /* the access phase let it pass */
    unsigned                    answering:1;  /* the error page of the denial is under way */
} ngx_http_keygate_ctx_t;


typedef keygate_str (*ngx_http_keygate_text_pt)(ngx_http_keygate_ctx_t *ctx);


static ngx_int_t ngx_http_keygate_access_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_keygate_strip_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_keygate_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_keygate_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_keygate_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_keygate_init(ngx_conf_t *cf);
static void *ngx_http_keygate_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_keygate_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_keygate_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_keygate_enable(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_auth_mode(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_api_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_api_key_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_exempt(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#define NGX_HTTP_KEYGATE_ANY                                                  \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)


static ngx_command_t  ngx_http_keygate_commands[] = {

    { ngx_string("keygate"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_FLAG,
      ngx_http_keygate_enable,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, enable),
      NULL },

    { ngx_string("keygate_auth_mode"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_auth_mode,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keygate_allow_lan_access"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.lan),
      NULL },

    { ngx_string("keygate_api_key"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE12,
      ngx_http_keygate_api_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keygate_api_key_file"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE12,
      ngx_http_keygate_api_key_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keygate_source"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE12,
      ngx_http_keygate_source,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keygate_exempt"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_exempt,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keygate_strip"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, strip),
      NULL },

    { ngx_string("keygate_explain"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, explain),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_keygate_module_ctx = {
    ngx_http_keygate_add_variables,        /* preconfiguration */
    ngx_http_keygate_init,                 /* postconfiguration */

    ngx_http_keygate_create_main_conf,     /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_keygate_create_loc_conf,      /* create location configuration */
    ngx_http_keygate_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_keygate_module = {
    NGX_MODULE_V1,
    &ngx_http_keygate_module_ctx,          /* module context */
    ngx_http_keygate_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static keygate_str
ngx_http_keygate_str(u_char *data, size_t len)
{
    keygate_str  s;

    s.ptr = (const char *) data;
    s.len = len;

    return s;
}


static keygate_str
ngx_http_keygate_cstr(const char *text)
{
    return ngx_http_keygate_str((u_char *) text, ngx_strlen(text));
}


/* ----- the context of a request ----- */

/* Does nothing: its address tells our cleanup from others. */
static void
ngx_http_keygate_ctx_cleanup(void *data)
{
}


static ngx_http_keygate_ctx_t *
ngx_http_keygate_add_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_keygate_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_keygate_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ctx->policy = NULL;
    ngx_memzero(&ctx->decision, sizeof(keygate_decision));
    ctx->decision.size = sizeof(keygate_decision);
    ctx->received = r->headers_in.headers;
    ctx->body = NULL;
    ctx->passed = 0;
    ctx->answering = 0;

    cln->handler = ngx_http_keygate_ctx_cleanup;

    return ctx;
}


/* An internal redirect forgets the module's context, but not the request's cleanups. */
static ngx_http_keygate_ctx_t *
ngx_http_keygate_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_keygate_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_keygate_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_keygate_ctx_cleanup) {
                return cln->data;
            }
        }
    }

    return ctx;
}


/* ----- the decision ----- */

/*
 * All the spellings of a source's name have as many bytes, so the library need not be asked about
 * a header whose name has a length that none has.
 */
static ngx_inline ngx_uint_t
ngx_http_keygate_has_length(uint64_t lengths, ngx_table_elt_t *h)
{
    return (lengths & ((uint64_t) 1 << (h->key.len & 63))) != 0;
}



/*
 * Method and target as received. r->method_name is changed by error_page, and r->unparsed_uri has
 * lost the scheme and host of an absolute target; the request line keeps both, and nginx writes one
 * for HTTP/2 and HTTP/3 as well.
 */
static void
ngx_http_keygate_request_line(ngx_http_request_t *r, keygate_str *method,
    keygate_str *target)
{
    u_char  *p, *start, *last;

    p = r->request_line.data;
    last = p + r->request_line.len;

    for (start = p; p < last && *p != ' '; p++) { /* void */ }

    *method = ngx_http_keygate_str(start, p - start);

    while (p < last && *p == ' ') {
        p++;
    }

    while (last > p && last[-1] == ' ') {
        last--;
    }

    if (r->http_version > NGX_HTTP_VERSION_9) {

        /* no version is shorter than "HTTP/1.1" */

        last -= ngx_min(last - p, 8);

        while (last > p && last[-1] != ' ') {
            last--;
        }

        while (last > p && last[-1] == ' ') {
            last--;
        }
    }

    *target = ngx_http_keygate_str(p, last - p);
}


/*
 * The headers whose names have one of these lengths: how many there are, and the first of them, as
 * many as there is room for. A hash of 0 does not mean "deleted" here: nginx forwards such a header.
 */
static size_t
ngx_http_keygate_headers(ngx_http_keygate_ctx_t *ctx, uint64_t lengths,
    keygate_header *headers, size_t room)
{
    size_t            n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *end;

    n = 0;

    for (part = &ctx->received.part; part; part = part->next) {
        h = part->elts;

        for (end = h + part->nelts; h < end; h++) {

            if (!ngx_http_keygate_has_length(lengths, h)) {
                continue;
            }

            if (n < room) {
                headers[n].name = ngx_http_keygate_str(h->key.data, h->key.len);
                headers[n].value = ngx_http_keygate_str(h->value.data,
                                                        h->value.len);
            }

            n++;
        }
    }

    return n;
}


static ngx_int_t
ngx_http_keygate_decide(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx)
{
    uint64_t         lengths;
    keygate_header  *headers, few[NGX_HTTP_KEYGATE_FEW];
    keygate_request  request;

    lengths = ctx->policy->lengths;
    headers = few;

    request.header_count = ngx_http_keygate_headers(ctx, lengths, few,
                                                    NGX_HTTP_KEYGATE_FEW);

    if (request.header_count > NGX_HTTP_KEYGATE_FEW) {
        headers = ngx_palloc(r->pool,
                             request.header_count * sizeof(keygate_header));
        if (headers == NULL) {
            return NGX_ERROR;
        }

        (void) ngx_http_keygate_headers(ctx, lengths, headers,
                                        request.header_count);
    }

    request.size = sizeof(keygate_request);
    request.headers = headers;
    ngx_http_keygate_request_line(r, &request.method, &request.target);

    (void) keygate_decide(&ctx->policy->policy, &request, &ctx->decision);

    return NGX_OK;
}


static uint32_t
ngx_http_keygate_findings(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx)
{
    keygate_header   *headers;
    keygate_request   request;

    request.header_count = ngx_http_keygate_headers(ctx, ~(uint64_t) 0, NULL,
                                                    0);

    headers = ngx_palloc(r->pool,
                         (request.header_count + 1) * sizeof(keygate_header));
    if (headers == NULL) {
        return 0;
    }

    (void) ngx_http_keygate_headers(ctx, ~(uint64_t) 0, headers,
                                    request.header_count);

    request.size = sizeof(keygate_request);
    request.headers = headers;
    ngx_http_keygate_request_line(r, &request.method, &request.target);

    return keygate_findings(&ctx->policy->policy, &request);
}


/* What nginx adds to a line of its error log, less the query and the headers: they may hold keys. */
static u_char *
ngx_http_keygate_log_handler(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    size_t                     n;
    ngx_str_t                  m, path;
    keygate_str                method, target;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    ngx_http_keygate_request_line(r, &method, &target);

    for (n = 0; n < target.len; n++) {
        if (target.ptr[n] == '?' || target.ptr[n] == '#') {
            break;
        }
    }

    m.data = (u_char *) method.ptr;
    m.len = method.len;
    path.data = (u_char *) target.ptr;
    path.len = n;

    return ngx_snprintf(buf, len, ", server: %V, request: \"%V %V\"",
                        &cscf->server_name, &m, &path);
}


static void
ngx_http_keygate_log(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx,
    ngx_flag_t explain)
{
    u_char                   *p, *last;
    u_char                    codes[512];
    uint32_t                  findings, bit;
    ngx_uint_t                level;
    keygate_reason            reason;
    ngx_http_log_handler_pt   handler;

    findings = explain ? ngx_http_keygate_findings(r, ctx) : 0;

    if (ctx->decision.verdict == KEYGATE_ALLOW && findings == 0) {
        return;
    }

    p = codes;
    last = codes + sizeof(codes) - 1;

    if (findings) {
        p = ngx_slprintf(p, last, ", findings:");

        for (bit = 1; bit; bit <<= 1) {
            if (findings & bit) {
                p = ngx_slprintf(p, last, " %s", keygate_finding_text(bit));
            }
        }
    }

    *p = '\0';

    reason = ctx->decision.reason;
    level = (reason == KEYGATE_REASON_NO_KEY_CONFIGURED
             || reason == KEYGATE_REASON_INVALID_CALL)
            ? NGX_LOG_ERR : NGX_LOG_INFO;

    handler = r->log_handler;
    r->log_handler = ngx_http_keygate_log_handler;

    ngx_log_error(level, r->connection->log, 0, "keygate: %s: %s (%s)%s",
                  ctx->decision.verdict == KEYGATE_ALLOW ? "allow" : "deny",
                  keygate_reason_text(reason), keygate_reason_name(reason),
                  codes);

    r->log_handler = handler;
}


/* nginx calls this for main requests only, again after each internal redirect. */
static ngx_int_t
ngx_http_keygate_access_handler(ngx_http_request_t *r)
{
    ngx_http_keygate_ctx_t       *ctx;
    ngx_http_keygate_loc_conf_t  *kcf;

    kcf = ngx_http_get_module_loc_conf(r, ngx_http_keygate_module);

    ctx = ngx_http_keygate_get_ctx(r);

    if (ctx && ctx->decision.verdict != KEYGATE_ALLOW && !ctx->passed) {
        /* denied already: this is what the operator answers it with */
        ctx->answering = 1;
        return NGX_DECLINED;
    }

    if (kcf->policy == NULL) {
        return NGX_DECLINED;
    }

    if (ctx == NULL) {
        ctx = ngx_http_keygate_add_ctx(r);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ctx->policy != kcf->policy) {
        ctx->policy = kcf->policy;
        ctx->passed = 0;

        if (ngx_http_keygate_decide(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (ctx->decision.verdict != KEYGATE_ALLOW || kcf->explain) {
            ngx_http_keygate_log(r, ctx, kcf->explain);
        }

        ngx_http_set_ctx(r, ctx, ngx_http_keygate_module);
    }

    if (ctx->decision.verdict != KEYGATE_ALLOW) {
        return NGX_HTTP_UNAUTHORIZED;
    }

    /* a gate that is off has asked for nothing, so it satisfies nothing either */

    if (ctx->decision.reason == KEYGATE_REASON_AUTH_OFF) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* ----- stripping ----- */

/* Forgets the pointer that nginx keeps to a header it knows. */
static void
ngx_http_keygate_forget(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_http_header_t          *hh;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    hh = ngx_hash_find(&cmcf->headers_in_hash, h->hash, h->lowcase_key,
                       h->key.len);

    if (hh == NULL || hh->offset == 0) {
        return;
    }

#if (nginx_version < 1023000)

    if (hh->offset == offsetof(ngx_http_headers_in_t, cookies)) {
        r->headers_in.cookies.nelts = 0;
        return;
    }

#if (NGX_HTTP_X_FORWARDED_FOR)
    if (hh->offset == offsetof(ngx_http_headers_in_t, x_forwarded_for)) {
        r->headers_in.x_forwarded_for.nelts = 0;
        return;
    }
#endif

#endif

    *(ngx_table_elt_t **) ((char *) &r->headers_in + hh->offset) = NULL;
}


/* The headers that stay, as a list of the same elements: others hold pointers to them. */
typedef struct {
    ngx_pool_t       *pool;
    ngx_list_part_t   first;
    ngx_list_part_t  *last;     /* NULL: none yet */
} ngx_http_keygate_kept_t;


static ngx_int_t
ngx_http_keygate_keep(ngx_http_keygate_kept_t *kept, ngx_table_elt_t *from,
    ngx_table_elt_t *to)
{
    ngx_list_part_t  *part;

    if (from == to) {
        return NGX_OK;  /* nginx reads the first element of a part unasked */
    }

    if (kept->last == NULL) {
        part = &kept->first;

    } else {
        part = ngx_palloc(kept->pool, sizeof(ngx_list_part_t));
        if (part == NULL) {
            return NGX_ERROR;
        }

        kept->last->next = part;
    }

    part->elts = from;
    part->nelts = to - from;
    part->next = NULL;
    kept->last = part;

    return NGX_OK;
}


static ngx_int_t
ngx_http_keygate_strip(ngx_http_request_t *r,
    ngx_http_keygate_policy_t *policy)
{
    uint64_t                  lengths;
    ngx_uint_t                dropped;
    ngx_list_t               *list;
    ngx_list_part_t          *part;
    ngx_table_elt_t          *h, *from, *end;
    ngx_http_keygate_kept_t   kept;

    lengths = policy->lengths;
    list = &r->headers_in.headers;
    dropped = 0;
    kept.pool = r->pool;
    kept.last = NULL;

    for (part = &list->part; part; part = part->next) {
        from = part->elts;
        end = from + part->nelts;

        for (h = from; h < end; h++) {

            if (!ngx_http_keygate_has_length(lengths, h)
                || !keygate_policy_carries_credential(&policy->policy,
                       ngx_http_keygate_str(h->key.data, h->key.len)))
            {
                continue;
            }

            ngx_http_keygate_forget(r, h);
            dropped++;

            if (ngx_http_keygate_keep(&kept, from, h) != NGX_OK) {
                return NGX_ERROR;
            }

            from = h + 1;
        }

        if (ngx_http_keygate_keep(&kept, from, end) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (dropped == 0) {
        return NGX_OK;
    }

    if (kept.last == NULL) {
        return ngx_list_init(list, r->pool, 4, sizeof(ngx_table_elt_t));
    }

    /* the old parts stay as they are, and full: subrequests may share them */

    list->part = kept.first;
    list->last = kept.last == &kept.first ? &list->part : kept.last;
    list->nalloc = list->last->nelts;

    return NGX_OK;
}


/*
 * After the access phase, so that the other access modules still see what was sent, and before
 * anything that forwards, subrequests included.
 */
static ngx_int_t
ngx_http_keygate_strip_handler(ngx_http_request_t *r)
{
    ngx_http_keygate_ctx_t       *ctx;
    ngx_http_keygate_policy_t    *policy;
    ngx_http_keygate_loc_conf_t  *kcf;

    kcf = ngx_http_get_module_loc_conf(r, ngx_http_keygate_module);

    ctx = ngx_http_keygate_get_ctx(r);

    if (ctx && r == r->main && !ctx->answering) {
        ctx->passed = 1;
    }

    policy = ctx ? ctx->policy : kcf->policy;

    if (policy == NULL || !kcf->strip) {
        return NGX_DECLINED;
    }

    if (ngx_http_keygate_strip(r, policy) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


/* ----- the answer to a denied request ----- */

static ngx_int_t
ngx_http_keygate_header_filter(ngx_http_request_t *r)
{
    ngx_buf_t               *b;
    keygate_str              text;
    ngx_table_elt_t         *h;
    ngx_http_keygate_ctx_t  *ctx;

    if (r != r->main || r->headers_out.status != NGX_HTTP_UNAUTHORIZED) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_keygate_get_ctx(r);

    if (ctx == NULL || ctx->passed
        || ctx->decision.verdict == KEYGATE_ALLOW)
    {
        return ngx_http_next_header_filter(r);
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    text = ngx_http_keygate_cstr(keygate_denial_challenge(&ctx->decision));

    h->hash = 1;
    ngx_str_set(&h->key, "WWW-Authenticate");
    h->value.data = (u_char *) text.ptr;
    h->value.len = text.len;

    if (ngx_http_get_module_ctx(r, ngx_http_keygate_module) == NULL) {
        /* redirected since: an error_page gives the body */
        return ngx_http_next_header_filter(r);
    }

    b = ngx_calloc_buf(r->pool);
    ctx->body = ngx_alloc_chain_link(r->pool);
    if (b == NULL || ctx->body == NULL) {
        return NGX_ERROR;
    }

    text = ngx_http_keygate_cstr(keygate_denial_body(&ctx->decision));

    b->pos = (u_char *) text.ptr;
    b->last = b->pos + text.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    ctx->body->buf = b;
    ctx->body->next = NULL;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset.len = 0;

    ngx_http_clear_content_length(r);
    r->headers_out.content_length_n = text.len;

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_keygate_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t             *body;
    ngx_http_keygate_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_keygate_module);

    if (ctx == NULL || ctx->body == NULL || r != r->main || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    body = ctx->body;
    ctx->body = NULL;

    /* nginx hands over the whole of its built-in page at once */

    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
    }

    return ngx_http_next_body_filter(r, body);
}


/* ----- variables ----- */

static keygate_str
ngx_http_keygate_verdict_text(ngx_http_keygate_ctx_t *ctx)
{
    return ngx_http_keygate_cstr(ctx->decision.verdict == KEYGATE_ALLOW
                                 ? "allow" : "deny");
}


static keygate_str
ngx_http_keygate_reason_text(ngx_http_keygate_ctx_t *ctx)
{
    return ngx_http_keygate_cstr(keygate_reason_name(ctx->decision.reason));
}


static keygate_str
ngx_http_keygate_label_text(ngx_http_keygate_ctx_t *ctx)
{
    if (ctx->decision.key < 0) {
        return ngx_http_keygate_str(NULL, 0);
    }

    return keygate_policy_key_label(&ctx->policy->policy, ctx->decision.key);
}


static keygate_str
ngx_http_keygate_source_text(ngx_http_keygate_ctx_t *ctx)
{
    if (ctx->decision.source < 0) {
        return ngx_http_keygate_str(NULL, 0);
    }

    return keygate_policy_source_name(&ctx->policy->policy,
                                      ctx->decision.source);
}


static ngx_int_t
ngx_http_keygate_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    keygate_str              text;
    ngx_http_keygate_ctx_t  *ctx;

    ctx = ngx_http_keygate_get_ctx(r);

    if (ctx) {
        text = (*(ngx_http_keygate_text_pt *) data)(ctx);

        if (text.len) {
            v->data = (u_char *) text.ptr;
            v->len = text.len;
            v->valid = 1;
            v->no_cacheable = 1;
            v->not_found = 0;

            return NGX_OK;
        }
    }

    v->not_found = 1;

    return NGX_OK;
}


static struct {
    ngx_str_t                 name;
    ngx_http_keygate_text_pt  text;
} ngx_http_keygate_variables[] = {
    { ngx_string("keygate_verdict"), ngx_http_keygate_verdict_text },
    { ngx_string("keygate_reason"), ngx_http_keygate_reason_text },
    { ngx_string("keygate_key_label"), ngx_http_keygate_label_text },
    { ngx_string("keygate_source"), ngx_http_keygate_source_text },
    { ngx_null_string, NULL }
};


static ngx_int_t
ngx_http_keygate_add_variables(ngx_conf_t *cf)
{
    ngx_uint_t            i;
    ngx_http_variable_t  *var;

    for (i = 0; ngx_http_keygate_variables[i].name.len; i++) {

        var = ngx_http_add_variable(cf, &ngx_http_keygate_variables[i].name,
                                    NGX_HTTP_VAR_NOCACHEABLE);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = ngx_http_keygate_variable;
        var->data = (uintptr_t) &ngx_http_keygate_variables[i].text;
    }

    return NGX_OK;
}


/* ----- the configuration ----- */

static void
ngx_http_keygate_wipe_secret(void *data)
{
    ngx_http_keygate_secret_t  *secret = data;

    ngx_explicit_memzero(secret->data, secret->len);
}


static void
ngx_http_keygate_wipe_policy(void *data)
{
    ngx_http_keygate_policy_t  *p = data;

    keygate_policy_wipe(&p->policy);
}


static void *
ngx_http_keygate_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_keygate_main_conf_t  *kmcf;

    kmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_keygate_main_conf_t));
    if (kmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&kmcf->policies, cf->pool, 4,
                       sizeof(ngx_http_keygate_policy_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return kmcf;
}


static void *
ngx_http_keygate_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_keygate_loc_conf_t  *kcf;

    kcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_keygate_loc_conf_t));
    if (kcf == NULL) {
        return NULL;
    }

    kcf->enable = NGX_CONF_UNSET;
    kcf->strip = NGX_CONF_UNSET;
    kcf->explain = NGX_CONF_UNSET;
    kcf->settings.mode = NGX_CONF_UNSET;
    kcf->settings.lan = NGX_CONF_UNSET;

    return kcf;
}


static keygate_status
ngx_http_keygate_make(keygate_policy *policy, ngx_http_keygate_settings_t *s)
{
    keygate_key     *keys;
    keygate_config   config;

    keygate_config_init(&config, sizeof(config));

    if (s->mode != NGX_CONF_UNSET) {
        config.auth_mode = (keygate_mode) s->mode;
    }

    if (s->lan == 1) {
        config.flags |= KEYGATE_ALLOW_LAN_ACCESS;
    }

    if (s->keys) {
        keys = s->keys->elts;

        if (s->keys->nelts == 1 && keys[0].label.len == 0) {
            config.api_key = keys[0].secret;

        } else {
            config.keys = keys;
            config.key_count = s->keys->nelts;
        }
    }

    if (s->sources) {
        config.sources = s->sources->elts;
        config.source_count = s->sources->nelts;
    }

    if (s->exempt) {
        config.exempt = s->exempt->elts;
        config.exempt_count = s->exempt->nelts;
    }

    return keygate_policy_init(policy, sizeof(keygate_policy), &config);
}


/* Has the library judge what a level holds so far, so that an error shows at its own line. */
static keygate_status
ngx_http_keygate_try(ngx_http_keygate_settings_t *settings)
{
    keygate_status  status;
    keygate_policy  policy;

    status = ngx_http_keygate_make(&policy, settings);

    keygate_policy_wipe(&policy);

    return status;
}


static char *
ngx_http_keygate_check(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_keygate_loc_conf_t *kcf)
{
    keygate_status                 status;
    ngx_http_keygate_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);
    kmcf->used = 1;

    status = ngx_http_keygate_try(&kcf->settings);

    if (status != KEYGATE_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V: %s", &cmd->name,
                           keygate_status_text(status));
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_http_keygate_policy_t *
ngx_http_keygate_policy(ngx_conf_t *cf, ngx_http_keygate_loc_conf_t *kcf)
{
    ngx_uint_t                      i;
    keygate_status                  status;
    keygate_request                 request;
    keygate_decision                decision;
    ngx_pool_cleanup_t             *cln;
    ngx_http_keygate_policy_t      *p, **policies;
    ngx_http_keygate_main_conf_t   *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);
    policies = kmcf->policies.elts;

    for (i = 0; i < kmcf->policies.nelts; i++) {
        p = policies[i];

        if (ngx_memcmp(&p->settings, &kcf->settings, sizeof(p->settings))
            == 0)
        {
            return p;
        }
    }

    policies = ngx_array_push(&kmcf->policies);
    if (policies == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_keygate_policy_t));
    if (cln == NULL) {
        return NULL;
    }

    p = cln->data;
    ngx_memzero(p, sizeof(ngx_http_keygate_policy_t));
    cln->handler = ngx_http_keygate_wipe_policy;

    p->settings = kcf->settings;
    *policies = p;

    status = ngx_http_keygate_make(&p->policy, &kcf->settings);

    if (status != KEYGATE_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "keygate: %s in %V:%ui",
                      keygate_status_text(status), &kcf->file, kcf->line);
        return NULL;
    }

    for (i = 0; i < keygate_policy_source_count(&p->policy); i++) {
        p->lengths |= (uint64_t) 1
                      << (keygate_policy_source_name(&p->policy, i).len & 63);
    }

    /* A policy without a key works, but hardly as meant. */

    ngx_memzero(&request, sizeof(keygate_request));
    request.size = sizeof(keygate_request);
    decision.size = sizeof(keygate_decision);
    (void) keygate_decide(&p->policy, &request, &decision);

    if (decision.reason == KEYGATE_REASON_NO_KEY_CONFIGURED) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "keygate is on without a key: whatever needs one "
                      "will be denied in %V:%ui", &kcf->file, kcf->line);
    }

    return p;
}


static char *
ngx_http_keygate_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_keygate_loc_conf_t  *prev = parent;
    ngx_http_keygate_loc_conf_t  *conf = child;

    if (conf->enable == NGX_CONF_UNSET) {
        conf->file = prev->file;
        conf->line = prev->line;
    }

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_value(conf->strip, prev->strip, 1);
    ngx_conf_merge_value(conf->explain, prev->explain, 0);
    ngx_conf_merge_value(conf->settings.lan, prev->settings.lan, 0);
    ngx_conf_merge_value(conf->settings.mode, prev->settings.mode,
                         NGX_CONF_UNSET);

    /* a list of one's own replaces the inherited one */

    if (conf->settings.keys == NULL) {
        conf->settings.keys = prev->settings.keys;
    }

    if (conf->settings.sources == NULL) {
        conf->settings.sources = prev->settings.sources;
    }

    if (conf->settings.exempt == NULL) {
        conf->settings.exempt = prev->settings.exempt;
    }

    if (!conf->enable) {
        return NGX_CONF_OK;
    }

    if (conf->settings.mode == NGX_CONF_UNSET) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "keygate is on without keygate_auth_mode: %s in %V:%ui",
                      keygate_status_text(KEYGATE_ERR_MODE),
                      &conf->file, conf->line);
        return NGX_CONF_ERROR;
    }

    conf->policy = ngx_http_keygate_policy(cf, conf);

    return conf->policy ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_keygate_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    kcf->file = cf->conf_file->file.name;
    kcf->line = cf->conf_file->line;

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


static char *
ngx_http_keygate_auth_mode(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    ngx_str_t       *value;
    keygate_mode     mode;
    keygate_status   status;

    if (kcf->settings.mode != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    status = keygate_mode_parse(ngx_http_keygate_str(value[1].data,
                                                     value[1].len),
                                &mode);
    if (status != KEYGATE_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V: %s", &cmd->name,
                           keygate_status_text(status));
        return NGX_CONF_ERROR;
    }

    kcf->settings.mode = mode;

    return ngx_http_keygate_check(cf, cmd, kcf);
}


/* "label=..." as the second argument. Whatever else stands there may be a key: it is not shown. */
static char *
ngx_http_keygate_label(ngx_conf_t *cf, ngx_str_t *label)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts < 3) {
        ngx_str_null(label);
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "label=", 6) != 0) {
        ngx_explicit_memzero(value[2].data, value[2].len);
        return "takes nothing but label=NAME after its first argument";
    }

    label->data = value[2].data + 6;
    label->len = value[2].len - 6;

    return NGX_CONF_OK;
}


/* The next place in a list of this level, which is begun if need be. */
static void *
ngx_http_keygate_push(ngx_conf_t *cf, ngx_array_t **list, size_t size)
{
    if (*list == NULL) {
        *list = ngx_array_create(cf->pool, 2, size);
        if (*list == NULL) {
            return NULL;
        }
    }

    return ngx_array_push(*list);
}


static ngx_int_t
ngx_http_keygate_add_key(ngx_conf_t *cf, ngx_http_keygate_loc_conf_t *kcf,
    u_char *data, size_t len, ngx_str_t *label)
{
    keygate_key                   *key;
    ngx_pool_cleanup_t            *cln;
    ngx_http_keygate_secret_t     *secret;
    ngx_http_keygate_main_conf_t  *kmcf;

    cln = ngx_pool_cleanup_add(cf->pool,
                               sizeof(ngx_http_keygate_secret_t) + len);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);

    secret = cln->data;
    secret->next = kmcf->secrets;
    secret->len = len;
    ngx_memcpy(secret->data, data, len);

    cln->handler = ngx_http_keygate_wipe_secret;
    kmcf->secrets = secret;

    key = ngx_http_keygate_push(cf, &kcf->settings.keys, sizeof(keygate_key));
    if (key == NULL) {
        return NGX_ERROR;
    }

    key->secret = ngx_http_keygate_str(secret->data, len);
    key->label = ngx_http_keygate_str(label->data, label->len);

    return NGX_OK;
}


static char *
ngx_http_keygate_api_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    char       *rv;
    ngx_int_t   rc;
    ngx_str_t  *value, label;

    value = cf->args->elts;

    rv = ngx_http_keygate_label(cf, &label);

    rc = ngx_http_keygate_add_key(cf, kcf, value[1].data, value[1].len,
                                  &label);

    ngx_explicit_memzero(value[1].data, value[1].len);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (rc != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_keygate_check(cf, cmd, kcf);
}


/* One key a line, exactly as it stands there. Lines that are empty or begin with '#' hold none. */
static char *
ngx_http_keygate_read_keys(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_keygate_loc_conf_t *kcf, ngx_str_t *path, ngx_str_t *label,
    u_char *p, size_t size)
{
    u_char          *last, *end;
    ngx_uint_t       line, found;
    keygate_status   status;

    last = p + size;
    found = 0;

    for (line = 1; p < last; line++, p = end + 1) {
        end = ngx_strlchr(p, last, '\n');
        if (end == NULL) {
            end = last;
        }

        if (p == end || *p == '#') {
            continue;
        }

        found++;

        if (ngx_http_keygate_add_key(cf, kcf, p, end - p, label) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        status = ngx_http_keygate_try(&kcf->settings);

        if (status != KEYGATE_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%V: %s, line %ui of \"%V\"", &cmd->name,
                               keygate_status_text(status), line, path);
            return NGX_CONF_ERROR;
        }
    }

    if (found == 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "%V: \"%V\" holds no key",
                           &cmd->name, path);
    }

    return ngx_http_keygate_check(cf, cmd, kcf);
}


static char *
ngx_http_keygate_api_key_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    char             *rv;
    off_t             size;
    u_char           *buf;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_str_t         path, label, *value;
    ngx_file_t        file;
    ngx_file_info_t   fi;

    rv = ngx_http_keygate_label(cf, &label);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;
    path = value[1];

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "%V: " ngx_open_file_n " \"%V\" failed",
                           &cmd->name, &path);
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_ERROR;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "%V: " ngx_fd_info_n " \"%V\" failed",
                           &cmd->name, &path);
        goto close;
    }

    size = ngx_file_size(&fi);

    if (!ngx_is_file(&fi) || size > NGX_HTTP_KEYGATE_FILE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V: \"%V\" is not a file of at most %d bytes",
                           &cmd->name, &path, NGX_HTTP_KEYGATE_FILE_MAX);
        goto close;
    }

    if (fi.st_mode & (S_IRGRP|S_IROTH)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "%V: \"%V\" can be read by its group or by "
                           "everybody: make it mode 0600",
                           &cmd->name, &path);
    }

    buf = ngx_alloc((size_t) size + 1, cf->log);
    if (buf == NULL) {
        goto close;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.fd = fd;
    file.name = path;
    file.log = cf->log;

    n = ngx_read_file(&file, buf, (size_t) size, 0);

    if (n == (ssize_t) size) {
        rv = ngx_http_keygate_read_keys(cf, cmd, kcf, &path, &label, buf,
                                        (size_t) n);
    } else if (n != NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V: \"%V\" changed while it was read",
                           &cmd->name, &path);
    }

    ngx_explicit_memzero(buf, (size_t) size);
    ngx_free(buf);

close:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", &path);
    }

    return rv;
}


static char *
ngx_http_keygate_source(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    ngx_str_t       *value;
    keygate_source  *source;

    value = cf->args->elts;

    source = ngx_http_keygate_push(cf, &kcf->settings.sources,
                                   sizeof(keygate_source));
    if (source == NULL) {
        return NGX_CONF_ERROR;
    }

    source->name = ngx_http_keygate_str(value[1].data, value[1].len);
    source->flags = 0;

    if (cf->args->nelts == 3) {
        if (ngx_strcmp(value[2].data, "bearer") != 0) {
            return "takes nothing but \"bearer\" after the name";
        }

        source->flags = KEYGATE_SOURCE_BEARER;
    }

    return ngx_http_keygate_check(cf, cmd, kcf);
}


static char *
ngx_http_keygate_exempt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    ngx_str_t    *value;
    keygate_str  *path;

    value = cf->args->elts;

    path = ngx_http_keygate_push(cf, &kcf->settings.exempt,
                                 sizeof(keygate_str));
    if (path == NULL) {
        return NGX_CONF_ERROR;
    }

    *path = ngx_http_keygate_str(value[1].data, value[1].len);

    return ngx_http_keygate_check(cf, cmd, kcf);
}


static ngx_int_t
ngx_http_keygate_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt           *h;
    ngx_http_keygate_secret_t     *secret;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_keygate_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);

    /* the policies are made; they alone need the keys from now on */

    for (secret = kmcf->secrets; secret; secret = secret->next) {
        ngx_http_keygate_wipe_secret(secret);
    }

    if (kmcf->used && kmcf->policies.nelts == 0) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "keygate is configured, but \"keygate on\" stands "
                      "nowhere: no request is asked for a key");
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_keygate_access_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_keygate_strip_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_keygate_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_keygate_body_filter;

    return NGX_OK;
}

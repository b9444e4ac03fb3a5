// SPDX-License-Identifier: MIT OR Apache-2.0
//
// keygate for C++17: the C interface with std::string_view, and policies that wipe themselves.
// Header-only. No exceptions, no RTTI, no allocation; everything is noexcept. keygate.h is the
// manual: what it says of the functions and the numbers is true here too.
//
//   keygate::config config;
//   config.auth_mode = KEYGATE_MODE_STRICT;
//   config.api_key = keygate::str("sk-example");
//   static keygate::policy policy;
//   if (keygate_status status = policy.init(config); status != KEYGATE_OK) { ... }
//   keygate_header headers[] = {keygate::header("x-api-key", "sk-example")};
//   keygate::decision decision = policy.decide("GET", "/v1/models", headers, 1);
//   if (!decision) { answer(401, decision.body()); } // with the headers of policy.denial_header
#ifndef KEYGATE_HPP
#define KEYGATE_HPP

#include <keygate.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace keygate {

/// The text itself, which must outlive the result.
[[nodiscard]] inline keygate_str str(std::string_view text) noexcept {
  return {text.data(), text.size()};
}

[[nodiscard]] inline std::string_view view(keygate_str text) noexcept {
  return text.len == 0 ? std::string_view() : std::string_view(text.ptr, text.len);
}

[[nodiscard]] inline keygate_header header(std::string_view name, std::string_view value) noexcept {
  return {str(name), str(value)};
}

/// The defaults: strict, and no key. What it points to must live until policy::init returns.
struct config : keygate_config {
  config() noexcept { keygate_config_init(this, sizeof(keygate_config)); }
};

/// What is wrong with a configuration, and where.
struct config_error : keygate_config_error {
  config_error() noexcept : keygate_config_error() { size = sizeof(keygate_config_error); }

  /// One sentence, without a byte of a key. Like snprintf: returns the length needed.
  std::size_t text(keygate_language language, char *buffer, std::size_t length) const noexcept {
    return keygate_config_error_text(this, language, buffer, length);
  }
};

/// Sets a mode by its name, "all_except_health" for example.
[[nodiscard]] inline keygate_status parse_mode(std::string_view name, keygate_mode &mode) noexcept {
  return keygate_mode_parse(str(name), &mode);
}

/// What was decided. True is allow; one that was never made denies.
class [[nodiscard]] decision {
public:
  [[nodiscard]] explicit operator bool() const noexcept { return raw_.verdict == KEYGATE_ALLOW; }
  [[nodiscard]] const keygate_decision &raw() const noexcept { return raw_; }
  [[nodiscard]] keygate_reason reason() const noexcept { return raw_.reason; }
  [[nodiscard]] const char *reason_name() const noexcept { return keygate_reason_name(raw_.reason); }
  [[nodiscard]] const char *reason_text() const noexcept { return keygate_reason_text(raw_.reason, KEYGATE_LANGUAGE_EN); }
  /// The body to answer a deny with, beside status 401 and the headers of policy::denial_header.
  [[nodiscard]] const char *body() const noexcept { return keygate_denial_body(&raw_); }

private:
  friend class policy;
  friend class evaluation;
  keygate_decision raw_ = {sizeof(keygate_decision), KEYGATE_DENY, KEYGATE_REASON_INVALID_CALL,
                           KEYGATE_MODE_STRICT, -1, -1, 0, static_cast<std::size_t>(-1)};
};

/// A policy that is wiped when it goes. It can be neither copied nor moved, so that the keys are in
/// one place.
class policy {
public:
  policy() noexcept = default;
  ~policy() { keygate_policy_wipe(&raw_); }
  policy(const policy &) = delete;
  policy &operator=(const policy &) = delete;

  /// On any status but KEYGATE_OK the policy denies everything.
  [[nodiscard]] keygate_status init(const keygate_config &from, keygate_config_error *error = nullptr) noexcept {
    return keygate_policy_init(&raw_, sizeof raw_, &from, error);
  }

  /// The same from JSON, with the keys that are in it, or with others.
  [[nodiscard]] keygate_status parse(std::string_view json, keygate_config_error *error = nullptr,
                                     const keygate_key *keys = nullptr, std::size_t count = 0) noexcept {
    return keygate_policy_parse(&raw_, sizeof raw_, str(json), keys, count, error);
  }

  [[nodiscard]] decision decide(std::string_view method, std::string_view target,
                                const keygate_header *headers, std::size_t count) const noexcept {
    const keygate_request request = make(method, target, headers, count);
    decision made;
    static_cast<void>(keygate_decide(&raw_, &request, &made.raw_));
    return made;
  }

  /// For the operator, never for the client. Like snprintf: returns the length needed.
  std::size_t explain(std::string_view method, std::string_view target, const keygate_header *headers,
                      std::size_t count, keygate_language language, char *buffer, std::size_t size) const noexcept {
    const keygate_request request = make(method, target, headers, count);
    return keygate_explain(&raw_, &request, language, buffer, size);
  }

  /// KEYGATE_FINDING_ bits.
  [[nodiscard]] std::uint32_t findings(std::string_view method, std::string_view target,
                                       const keygate_header *headers, std::size_t count) const noexcept {
    const keygate_request request = make(method, target, headers, count);
    return keygate_findings(&raw_, &request);
  }

  /// True for a header to be dropped before a request that was decided so is forwarded.
  [[nodiscard]] bool drops(const decision &after, std::string_view name, std::string_view value) const noexcept {
    return keygate_policy_drops(&raw_, &after.raw_, str(name), str(value));
  }

  /// Bit n % 64 is set where a header that is read or may be dropped has a name of n bytes.
  [[nodiscard]] std::uint64_t name_lengths() const noexcept { return keygate_policy_name_lengths(&raw_); }

  [[nodiscard]] std::size_t key_count() const noexcept { return keygate_policy_key_count(&raw_); }
  [[nodiscard]] std::size_t wanted_count() const noexcept { return keygate_policy_wanted_count(&raw_); }
  [[nodiscard]] std::string_view wanted_name(std::size_t index) const noexcept {
    return view(keygate_policy_wanted_name(&raw_, index));
  }
  [[nodiscard]] std::string_view source_name(std::size_t index) const noexcept {
    return view(keygate_policy_source_name(&raw_, index));
  }
  [[nodiscard]] std::string_view key_label(std::size_t index) const noexcept {
    return view(keygate_policy_key_label(&raw_, index));
  }

  /// The headers of a 401, from index 0 until it is false.
  [[nodiscard]] bool denial_header(const decision &after, std::size_t index, keygate_header &out) const noexcept {
    return keygate_denial_header(&raw_, &after.raw_, index, &out);
  }

  [[nodiscard]] const keygate_policy *raw() const noexcept { return &raw_; }

private:
  static keygate_request make(std::string_view method, std::string_view target,
                              const keygate_header *headers, std::size_t count) noexcept {
    return {sizeof(keygate_request), str(method), str(target), headers, count};
  }

  keygate_policy raw_ = {};
};

/// A decision that is fed one header at a time. The policy must outlive it.
class evaluation {
public:
  evaluation(const policy &with, std::string_view method, std::string_view target) noexcept {
    keygate_evaluation_begin(&raw_, sizeof raw_, with.raw(), str(method), str(target));
  }
  evaluation(const evaluation &) = delete;
  evaluation &operator=(const evaluation &) = delete;

  /// False: nothing that follows can change the verdict.
  bool push(std::string_view name, std::string_view value) noexcept {
    return keygate_evaluation_push(&raw_, str(name), str(value));
  }

  /// Once; a second call denies.
  [[nodiscard]] decision finish() noexcept {
    decision made;
    static_cast<void>(keygate_evaluation_finish(&raw_, &made.raw_));
    return made;
  }

private:
  keygate_evaluation raw_ = {};
};

} // namespace keygate

#endif // KEYGATE_HPP

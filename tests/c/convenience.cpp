// keygate.hpp, built without exceptions and RTTI.
#include <keygate.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

#define CHECK(condition) ((condition) ? void() : (std::printf("line %d: " #condition "\n", __LINE__), std::abort()))

static_assert(!std::is_copy_constructible_v<keygate::policy> && !std::is_move_constructible_v<keygate::policy>);
static_assert(std::is_nothrow_default_constructible_v<keygate::policy>);
static_assert(noexcept(std::declval<const keygate::policy &>().decide({}, {}, nullptr, 0)));

// Nothing here allocates.
void *operator new(std::size_t) { std::abort(); }
void operator delete(void *) noexcept { std::abort(); }
void operator delete(void *, std::size_t) noexcept { std::abort(); }

int main() {
  alignas(keygate::policy) static unsigned char storage[sizeof(keygate::policy)];
  auto *policy = new (storage) keygate::policy;
  keygate_header headers[] = {keygate::header("Host", "h"), keygate::header("Authorization", "Bearer sk-right")};
  CHECK(!policy->decide("GET", "/", headers, 2));
  CHECK(!policy->decide("OPTIONS", "/", nullptr, 0) && policy->name_lengths() == UINT64_MAX);
  keygate::decision never;
  CHECK(!never && std::strcmp(never.reason_name(), "invalid_call") == 0);
  CHECK(std::strstr(never.body(), "invalid_api_key"));
  keygate::evaluation on_nothing(*policy, "OPTIONS", "/");
  CHECK(!on_nothing.push("authorization", "sk-right") && !on_nothing.finish());

  keygate::config config;
  CHECK(keygate::parse_mode("all_except_health", config.auth_mode) == KEYGATE_OK);
  CHECK(keygate::parse_mode("On", config.auth_mode) == KEYGATE_ERR_MODE && config.auth_mode == KEYGATE_MODE_STRICT);
  keygate_key keys[] = {{keygate::str("sk-right"), keygate::str("first")}};
  config.keys = keys;
  config.key_count = 1;
  CHECK(policy->init(config) == KEYGATE_OK);

  keygate::decision decision = policy->decide("GET", "/v1/models", headers, 2);
  CHECK(decision && decision.reason() == KEYGATE_REASON_KEY_MATCHED && decision.raw().header == 1);
  CHECK(policy->key_label(0) == "first" && policy->key_label(1).empty());
  CHECK(policy->wanted_count() == 3 && policy->wanted_name(1) == "x-api-key" && policy->key_count() == 1 && policy->source_name(0) == "authorization");
  CHECK(policy->drops(decision, "X_API_KEY", "") && !policy->drops(decision, "host", ""));
  CHECK(!policy->drops(decision, "Upgrade", "websocket"));
  CHECK(policy->drops(policy->decide("OPTIONS", "/", headers, 1), "Upgrade", "websocket"));
  CHECK(policy->drops(policy->decide("GET", "/", headers, 1), "host", ""));

  CHECK(policy->drops(never, "host", ""));
  CHECK((policy->name_lengths() & 1U << 9) != 0 && (policy->name_lengths() & 1U << 4) == 0);

  // What cannot be read is a deny, in every mode and for every method, and is dropped.
  const std::string_view bad(nullptr, 4), empty;
  const keygate_header odd[] = {keygate::header(bad, "a"), keygate::header("authorization", bad)};
  const auto invalid = [](const keygate::decision &made) { return !made && made.reason() == KEYGATE_REASON_INVALID_CALL; };
  CHECK(invalid(policy->decide(bad, "/", headers, 2)) && invalid(policy->decide("GET", bad, headers, 2)));
  CHECK(invalid(policy->decide("OPTIONS", bad, nullptr, 0)) && invalid(policy->decide("OPTIONS", "/", nullptr, 1)));
  CHECK(invalid(policy->decide("GET", "/", headers, SIZE_MAX)));
  CHECK(!policy->decide("GET", "/", odd, 1) && !policy->decide("GET", "/", odd, 2) && !policy->decide("GET", "/", odd + 1, 1));
  CHECK(!policy->decide(empty, empty, nullptr, 0) && policy->decide(empty, empty, headers, 2));
  CHECK(policy->drops(decision, bad, "") && policy->drops(decision, "authorization", bad));
  CHECK(policy->drops(policy->decide("GET", "/", headers, 2), "authorization", "") && !policy->drops(decision, empty, ""));
  keygate::evaluation interrupted(*policy, "GET", "/");
  interrupted.push("authorization", bad);
  interrupted.push("x-api-key", "sk-right");
  CHECK(!interrupted.finish());
  keygate::config open = config;
  CHECK(keygate::parse_mode("all_except_health", open.auth_mode) == KEYGATE_OK);
  keygate::policy with_health;
  CHECK(with_health.init(open) == KEYGATE_OK && with_health.decide("GET", "/healthz?/../v1", nullptr, 0));
  CHECK(!with_health.decide("GET", "/healthz#/../v1", nullptr, 0));
  CHECK(!with_health.decide("GET", std::string_view("/healthz\0", 9), nullptr, 0));

  headers[1] = keygate::header("authorization", "Bearersk-right");
  decision = policy->decide("GET", "/", headers, 2);
  CHECK(!decision && std::strcmp(decision.reason_name(), "key_mismatch") == 0);
  CHECK(std::strstr(decision.body(), "invalid_api_key"));
  keygate_header answer;
  CHECK(policy->denial_header(decision, 0, answer) && keygate::view(answer.name) == "WWW-Authenticate");
  CHECK(keygate::view(answer.value).find("invalid_token") != std::string_view::npos);
  CHECK(policy->denial_header(decision, 1, answer) && !policy->denial_header(decision, 2, answer));
  CHECK(policy->findings("GET", "/", headers, 2) == KEYGATE_FINDING_BEARER_NO_SPACE);
  char why[16];
  CHECK(policy->explain("GET", "/", headers, 2, KEYGATE_LANGUAGE_ZH, why, sizeof why) > sizeof why && why[15] == 0);

  keygate::evaluation evaluation(*policy, "GET", "/");
  CHECK(evaluation.push("host", "h"));
  CHECK(!evaluation.push("authorization", "sk-right"));
  CHECK(evaluation.finish());
  CHECK(!evaluation.finish());

  CHECK(policy->init(keygate::config{}) == KEYGATE_OK);
  CHECK(policy->decide("GET", "/", headers, 2).reason() == KEYGATE_REASON_NO_KEY_CONFIGURED);
  config.keys = nullptr;
  CHECK(policy->init(config) == KEYGATE_ERR_NULL && !policy->decide("OPTIONS", "/", nullptr, 0));
  config.keys = keys;
  CHECK(policy->init(config) == KEYGATE_OK);
  policy->~policy();
  for (unsigned char byte : storage) {
    CHECK(byte == 0); // wiped
  }
  std::puts("keygate.hpp");
}

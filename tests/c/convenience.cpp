// keygate.hpp, built without exceptions and RTTI.
#include <keygate.hpp>

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
  CHECK(policy->source_count() == 3 && policy->source_name(0) == "authorization");
  CHECK(policy->drops(decision, "X_API_KEY", "") && !policy->drops(decision, "host", ""));
  CHECK(!policy->drops(decision, "Upgrade", "websocket"));
  CHECK(policy->drops(policy->decide("OPTIONS", "/", headers, 1), "Upgrade", "websocket"));
  CHECK(policy->drops(policy->decide("GET", "/", headers, 1), "host", ""));

  headers[1] = keygate::header("authorization", "Bearersk-right");
  decision = policy->decide("GET", "/", headers, 2);
  CHECK(!decision && std::strcmp(decision.reason_name(), "key_mismatch") == 0);
  CHECK(std::strstr(decision.challenge(), "invalid_token") && std::strstr(decision.body(), "invalid_api_key"));
  CHECK(policy->findings("GET", "/", headers, 2) == KEYGATE_FINDING_BEARER_NO_SPACE);
  char why[16];
  CHECK(policy->explain("GET", "/", headers, 2, why, sizeof why) > sizeof why && why[15] == 0);

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

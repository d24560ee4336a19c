/// Signatures of those who call from outside: Standard Webhooks (Svix, which Clerk uses) and Inngest.
#pragma once

#include <matrixos/host/config.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace matrixos::signup {

/// What a signature is worth. The order says how far a look at it came.
enum class Verdict { Missing, Stale, Bad, Good };

/// How far a sender's clock may be off, in seconds, either way; deliveries that are older are replays.
constexpr std::int64_t kToleranceSeconds = 300;

/// Keys of webhooks, one a line of `text`: base64, with or without "whsec_" in front. Several are there while one takes
/// another's place. Throws Error(InvalidArgument) for one that is malformed or empty; none is fine.
std::vector<Secret> webhookKeys(std::string_view text);

/// Signing keys of Inngest, one a line; "signkey-<environment>-" is no part of the key. Throws as webhookKeys() does.
std::vector<Secret> inngestKeys(std::string_view text);

/// The fields svix-id, svix-timestamp and svix-signature, or webhook-… of the same names.
struct WebhookFields {
  std::string_view id, timestamp, signature;
};

/// Whether one of the signatures of version v1 is one of the keys' over id, timestamp and the body as it came
/// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). Signatures are
/// compared as text, in a time that does not depend on what they are, so that no second spelling of one passes.
Verdict checkWebhook(const std::vector<Secret> &keys, const WebhookFields &fields, std::string_view body,
                     std::int64_t nowSeconds);

/// The same for Inngest's "t=<seconds>&s=<hex>", over the body and the time.
Verdict checkInngest(const std::vector<Secret> &keys, std::string_view field, std::string_view body,
                     std::int64_t nowSeconds);
/// As far as it can be judged without the body: Good where checkInngest() may say so.
Verdict peekInngest(std::string_view field, std::int64_t nowSeconds);

} // namespace matrixos::signup

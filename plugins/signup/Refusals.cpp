#include "Refusals.h"

namespace matrixos::signup {

namespace {

constexpr std::int64_t kQuietNanos = 60'000'000'000;

Refusals::Told wordsOf(Verdict verdict) noexcept {
  switch (verdict) {
  case Verdict::Missing:
    return {"the request is not signed", "NO_SIGNATURE"};
  case Verdict::Stale:
    return {"the signature is from another time than now", "STALE_SIGNATURE"};
  case Verdict::Bad:
  case Verdict::Good:
    break;
  }
  return {"the signature is not of this request and a key that counts", "BAD_SIGNATURE"};
}

} // namespace

Series deliveries(const mos_host_v1 *host, std::string_view result) {
  return Metrics(host).counter("matrixos_signup_deliveries_total", "Deliveries of webhooks by result.",
                               {{"result", result}});
}

Refusals::Refusals(const mos_host_v1 *host) : log_(host), refused_(deliveries(host, "refused")) {}

Refusals::Told Refusals::note(Verdict verdict, std::string_view source, std::string_view requestId) {
  refused_.add();
  const Told told = wordsOf(verdict);
  const std::int64_t now = monotonicNanos();
  std::int64_t quietUntil = quietUntil_.load(std::memory_order_relaxed);
  if (now >= quietUntil && quietUntil_.compare_exchange_strong(quietUntil, now + kQuietNanos))
    log_.warning("a delivery was refused; others of the next minute are counted alone",
                 {{"source", source}, {"requestId", requestId}, {"error", told.text}});
  return told;
}

} // namespace matrixos::signup

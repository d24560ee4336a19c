/// One request that goes to an upstream, and its answer.
#pragma once

#include "Meter.h"
#include "upstream/KeyScrubber.h"

#include <http/engine/BodyObserver.h>

#include <memory>
#include <string>
#include <string_view>

namespace matrixos::gateway {

/// Stands between the two bodies: counts what an answer costs, keeps our keys out of it, and ends it when the money
/// does. It outlives its session while the rest of a paid answer is read after the client has left; its line of the log
/// is written when it ends. One loop's own.
class UpstreamCall final : public http::BodyObserver, public std::enable_shared_from_this<UpstreamCall> {
public:
  UpstreamCall(Shared &shared, std::shared_ptr<const Settings> settings);
  ~UpstreamCall();
  UpstreamCall(const UpstreamCall &) = delete;
  UpstreamCall &operator=(const UpstreamCall &) = delete;

  /// Null: it costs nothing.
  std::unique_ptr<Meter> meter;
  RateLimits::Place place;
  AccessRecord record;
  Endpoints::Tour tour;

  /// So many tokens were taken from the user's minute, see RateLimits.
  void tokensTaken(std::uint64_t tokens) noexcept { tokensTaken_ = tokens; }
  /// Bytes of it may have reached an upstream.
  void sent() noexcept;
  /// The head of the answer that is passed on.
  void head(const http::ResponseHead &head);
  /// We answer ourselves.
  void refused(Outcome outcome) noexcept;

  void onResponsePayload(std::string_view bytes) override;
  std::string_view editResponse(std::string_view piece, bool last) override;
  bool endsHere() noexcept override { return endsHere_; }
  Rest onClientGone() override;
  void onResponseHead(const http::ResponseHead &head) override { this->head(head); }
  void onResponseEnd(bool complete) noexcept override;

private:
  std::string_view cut(std::string_view piece);

  Shared &shared_;
  const std::shared_ptr<const Settings> settings_;
  KeyScrubber scrubber_;
  std::string edited_;
  std::uint64_t tokensTaken_ = 0;
  std::uint64_t sinceCut_ = 0; ///< bytes that passed since the money was out
  int status_ = 0;
  Outcome outcome_ = Outcome::Refused;
  bool isEventStream_ = false;
  bool overspent_ = false;
  bool endsHere_ = false;
};

} // namespace matrixos::gateway

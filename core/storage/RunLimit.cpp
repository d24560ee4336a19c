#include "storage/RunLimit.h"

#include <matrixos/status.hpp>

namespace matrixos::storage {

using Clock = std::chrono::steady_clock;

RunLimit::RunLimit(const Access &access, Clock::duration used) noexcept
    : access_(access), until_(access.runFor.count() > 0 ? began_ + access.runFor - used : Clock::time_point::max()) {}

bool RunLimit::reached() noexcept {
  if (end_ != End::None) return true;
  const Clock::time_point now = Clock::now();
  if (now >= until_)
    end_ = End::Time;
  else if (now >= access_.deadline)
    end_ = End::Deadline;
  else if (access_.cancelled && access_.cancelled())
    end_ = End::Cancelled;
  return end_ != End::None;
}

void RunLimit::raise(const std::string &what, bool callback) const {
  if (end_ == End::Cancelled) throw Error(Status::Cancelled, what + " was given up by who asked for it", "CANCELLED");
  const std::string end =
      end_ == End::Deadline ? "until its deadline" : "longer than " + std::to_string(access_.runFor.count()) + " ms";
  throw Error(Status::DeadlineExceeded,
              what + " ran " + end + " and was ended" + (callback ? "; its row callback took its time" : ""),
              "QUERY_TIMEOUT");
}

} // namespace matrixos::storage

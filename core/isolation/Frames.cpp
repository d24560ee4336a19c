#include "isolation/Frames.h"

#include <algorithm>
#include <cstring>

namespace matrixos::isolation {

FrameError FrameError::of(mos_status status, const mos_error &error) noexcept {
  FrameError failure;
  failure.status = status;
  if (status == MOS_OK) return failure;
  failure.retryAfterMs = error.retry_after_ms;
  failure.reason = {error.reason, ::strnlen(error.reason, MOS_REASON_SIZE - 1)};
  failure.message = {error.message, ::strnlen(error.message, MOS_MESSAGE_SIZE - 1)};
  return failure;
}

mos_status FrameError::give(mos_error *error) const noexcept {
  if (status == MOS_OK) return MOS_OK;
  const bool known = status > MOS_OK && status <= MOS_UNAUTHENTICATED;
  return fail(error, known ? static_cast<Status>(status) : Status::Unknown, message, reason,
              std::max<std::int64_t>(retryAfterMs, 0));
}

} // namespace matrixos::isolation

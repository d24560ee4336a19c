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

std::vector<mos_pair> toPairs(const std::vector<Pair> &list) {
  std::vector<mos_pair> pairs;
  pairs.reserve(list.size());
  for (const auto &[key, value] : list)
    pairs.push_back({toAbi(key), toAbi(value)});
  return pairs;
}

std::vector<Pair> fromPairs(const mos_pair *pairs, std::uint32_t count) {
  std::vector<Pair> list;
  for (std::uint32_t i = 0; i < std::min<std::size_t>(count, kMaxEntries); ++i)
    list.emplace_back(fromAbi(pairs[i].key), fromAbi(pairs[i].value));
  return list;
}

AskFrame question(Question what, std::string_view first, std::string_view second, std::int64_t number) {
  AskFrame frame;
  frame.question = static_cast<std::uint8_t>(what);
  frame.first = first;
  frame.second = second;
  frame.number = number;
  return frame;
}

} // namespace matrixos::isolation

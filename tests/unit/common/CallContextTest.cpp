#include "common/CallContext.h"

#include "unit/common/Fixtures.h"

#include <matrixos/call.hpp>

#include <doctest/doctest.h>
#include <poll.h>

#include <thread>

using namespace matrixos;
using namespace matrixos::common;

namespace {

bool readable(int fd) {
  pollfd item{fd, POLLIN, 0};
  return ::poll(&item, 1, 0) == 1;
}

} // namespace

TEST_CASE("a cancel is seen through the function and the descriptor") {
  CallContext context(std::chrono::minutes(1), "op-1", "trace-1");
  const mos_call *call = context.abi();
  CHECK(call->struct_size == sizeof(mos_call));
  CHECK(fromAbi(call->operation_id) == "op-1");
  CHECK(fromAbi(call->trace_id) == "trace-1");
  CHECK(call->cancelled(call) == 0);
  CHECK_FALSE(readable(call->cancel_fd));
  std::thread other([&] {
    context.cancel();
    context.cancel();
  });
  other.join();
  CHECK(call->cancelled(call) == 1);
  CHECK(readable(call->cancel_fd));
}

TEST_CASE("deadlines do not overflow and do not go below zero") {
  const CallContext forever(std::chrono::nanoseconds::max());
  CHECK(forever.deadlineNs() == MOS_NO_DEADLINE);
  const CallContext past(std::chrono::seconds(-5));
  CHECK(past.deadlineNs() > 0);
  CHECK(past.deadlineNs() <= monotonicNanos());
  const std::int64_t before = monotonicNanos();
  const CallContext soon(std::chrono::minutes(1));
  CHECK(soon.deadlineNs() > before);
  CHECK(soon.deadlineNs() <= monotonicNanos() + 60'000'000'000);
}

TEST_CASE("a copy of a call has its deadline and ids, owns them, and is cancelled when that one was") {
  auto original = std::make_unique<CallContext>(std::chrono::minutes(1), "op", "trace");
  const CallContext copy(*original->abi());
  CHECK(copy.deadlineNs() == original->deadlineNs());
  CHECK_FALSE(copy.cancelled());
  original->cancel();
  const CallContext cancelled(*original->abi());
  original.reset();
  CHECK(cancelled.cancelled());
  CHECK(readable(cancelled.abi()->cancel_fd));
  CHECK(fromAbi(copy.abi()->operation_id) == "op");

  mos_call bare{};
  bare.struct_size = sizeof bare;
  bare.cancel_fd = -1;
  bare.deadline_ns = MOS_NO_DEADLINE;
  CHECK_FALSE(CallContext(bare).cancelled());
}

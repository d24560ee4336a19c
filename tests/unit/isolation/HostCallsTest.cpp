#include "isolation/HostCalls.h"

#include "support/FakeHost.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <optional>

using namespace matrixos;
using namespace matrixos::isolation;
using namespace matrixos::test;

namespace {

/// A host whose outbox takes its time with what begins and ends deliveries.
class SlowHost : public FakeHost {
public:
  SlowHost() {
    outbox_.struct_size = sizeof outbox_;
    outbox_.self = this;
    outbox_.begin = [](void *self, mos_outbox_deliver_fn, void *, mos_error *) { return pass(self); };
    outbox_.end = [](void *self, mos_error *) { return pass(self); };
  }
  const void *find(std::string_view id) const override {
    return id == MOS_HOST_OUTBOX_1 ? static_cast<const void *>(&outbox_) : FakeHost::find(id);
  }
  std::atomic<int> inside{0};
  std::promise<void> leave;

private:
  static mos_status pass(void *self) {
    auto &host = *static_cast<SlowHost *>(self);
    ++host.inside;
    host.left_.wait();
    return MOS_OK;
  }
  std::shared_future<void> left_ = leave.get_future().share();
  mos_host_outbox_v1 outbox_{};
};

struct Process {
  mos_status call(HostFunction function) {
    CallFrame frame;
    frame.function = static_cast<std::uint8_t>(function);
    frame.slot = kHostSlot;
    frame.deadlineNs = MOS_NO_DEADLINE;
    last.emplace(frame);
    mos_error error{};
    Answers answers;
    answers.error = &error;
    return calls.run(*last, answers);
  }
  HostCalls &calls;
  std::optional<ServedCall> last{};
};

} // namespace

TEST_CASE("another process waits for nothing that the one before it has under way in its host") {
  SlowHost host;
  HostCalls calls(host.abi(), {});
  Process before{calls};
  HostFunction function = HostFunction::OutboxEnd;
  SUBCASE("end") {}
  SUBCASE("begin") {
    function = HostFunction::OutboxBegin;
  }
  auto slow = std::async(std::launch::async, [&] { return before.call(function); });
  REQUIRE(eventually([&] { return host.inside == 1; }));
  before.last->stop();
  auto attached = std::async(std::launch::async, [&] { calls.newProcess(); });
  CHECK(attached.wait_for(std::chrono::seconds{5}) == std::future_status::ready);
  host.leave.set_value();
  CHECK(slow.get() == MOS_OK);
  attached.get();
  // Nor does what the process that has gone wanted count for the next one.
  Process next{calls};
  CHECK(next.call(HostFunction::OutboxBegin) == MOS_OK);
  CHECK(next.call(HostFunction::OutboxBegin) == MOS_FAILED_PRECONDITION);
  CHECK(next.call(HostFunction::OutboxEnd) == MOS_OK);
  CHECK(next.call(HostFunction::OutboxBegin) == MOS_OK);
}

#include <matrixos/call.hpp>

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace std::chrono_literals;

namespace {

/// A caller that counts what it is told.
struct Caller {
  int calls = 0;
  mos_status status = -1;
  std::string json, reason;

  mos_completion completion() {
    return {this, [](void *ctx, mos_status result, mos_str text, const mos_error *error) {
              auto *self = static_cast<Caller *>(ctx);
              ++self->calls;
              self->status = result;
              self->json = std::string(fromAbi(text));
              self->reason = error != nullptr ? error->reason : "";
            }};
  }
};

bool readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

} // namespace

TEST_CASE("a completion answers exactly once") {
  Caller caller;
  SUBCASE("success") {
    Completion done(caller.completion());
    done.succeed("{}");
    done.succeed("{\"again\":1}");
    done.fail(Error(Status::Internal, "late"));
    CHECK(caller.status == MOS_OK);
    CHECK(caller.json == "{}");
  }
  SUBCASE("failure") {
    Completion done(caller.completion());
    done.fail(Error(Status::NotFound, "no", "NO"));
    CHECK(caller.status == MOS_NOT_FOUND);
    CHECK(caller.reason == "NO");
  }
  SUBCASE("forgotten") {
    { const Completion done(caller.completion()); }
    CHECK(caller.status == MOS_UNAVAILABLE);
    CHECK(caller.reason == "STOPPING");
  }
  SUBCASE("moved") {
    Completion first(caller.completion());
    Completion second(std::move(first));
    CHECK(caller.calls == 0);
    second.succeed("1");
  }
  SUBCASE("assigned over") {
    Caller other;
    Completion done(caller.completion());
    done = Completion(other.completion());
    CHECK(caller.status == MOS_UNAVAILABLE);
    done.succeed("");
    CHECK(other.calls == 1);
  }
  CHECK(caller.calls == 1);
}

TEST_CASE("a command answers through its completion or by its status, never both") {
  Caller caller;
  mos_error error{};
  std::optional<Completion> kept;
  SUBCASE("refused") {
    CHECK(Completion::command(caller.completion(), &error, [](Completion &) {
            throw Error(Status::InvalidArgument, "bad");
          }) == MOS_INVALID_ARGUMENT);
    CHECK(caller.calls == 0);
  }
  SUBCASE("answered at once") {
    CHECK(Completion::command(caller.completion(), &error, [](Completion &done) { done.succeed("1"); }) == MOS_OK);
    CHECK(caller.calls == 1);
  }
  SUBCASE("answered, then thrown") {
    CHECK(Completion::command(caller.completion(), &error, [](Completion &done) {
            done.succeed("1");
            throw std::runtime_error("late");
          }) == MOS_OK);
    CHECK(caller.calls == 1);
  }
  SUBCASE("taken over, then thrown") {
    CHECK(Completion::command(caller.completion(), &error, [&](Completion &done) {
            kept.emplace(std::move(done));
            throw std::runtime_error("late");
          }) == MOS_OK);
    CHECK(caller.calls == 0);
    kept->succeed("2");
    CHECK(caller.calls == 1);
  }
  SUBCASE("neither") {
    CHECK(Completion::command(caller.completion(), &error, [](Completion &) {}) == MOS_OK);
    CHECK(caller.calls == 1);
    CHECK(caller.status == MOS_UNAVAILABLE);
  }
}

TEST_CASE("the caller's callback runs once, also when the call is refused") {
  int calls = 0;
  Status seen = Status::Ok;
  const auto then = [&](const Outcome &outcome) {
    ++calls;
    seen = outcome.status;
    CHECK((outcome.error != nullptr) == (outcome.status != Status::Ok));
  };
  SUBCASE("refused") {
    withCompletion(then, [](mos_completion, mos_error *e) { return fail(e, Status::ResourceExhausted, "full"); });
    CHECK(seen == Status::ResourceExhausted);
  }
  SUBCASE("at once") {
    withCompletion(then, [](mos_completion done, mos_error *) {
      done.done(done.ctx, MOS_OK, toAbi("{}"), nullptr);
      return MOS_OK;
    });
    CHECK(seen == Status::Ok);
  }
  SUBCASE("later, on another thread, without an error struct") {
    mos_completion kept{};
    withCompletion(then, [&](mos_completion done, mos_error *) {
      kept = done;
      return MOS_OK;
    });
    CHECK(calls == 0);
    std::thread([&] { kept.done(kept.ctx, MOS_UNAVAILABLE, mos_str{}, nullptr); }).join();
    CHECK(seen == Status::Unavailable);
  }
  CHECK(calls == 1);
}

TEST_CASE("a call context tells of cancellation and of time") {
  CallScope scope(1h, "op-1", "trace-1");
  const Call call(scope.abi());
  CHECK(call.operationId() == "op-1");
  CHECK(call.traceId() == "trace-1");
  CHECK_FALSE(call.cancelled());
  CHECK_FALSE(readable(call.cancelFd()));
  CHECK(call.remaining(10s) == 10s);
  call.throwIfDone();
  scope.cancel();
  scope.cancel();
  CHECK(call.cancelled());
  CHECK(readable(call.cancelFd()));
  CHECK_THROWS_AS(call.throwIfDone(), Error);

  const CallScope over(-1ms);
  CHECK(Call(over.abi()).remaining(1s) == 0ms);
  CHECK_THROWS_AS(Call(over.abi()).throwIfDone(), Error);
  const CallScope endless(std::chrono::milliseconds::max());
  CHECK(endless.abi()->deadline_ns == MOS_NO_DEADLINE);
  CHECK(Call(endless.abi()).remaining(7s) == 7s);
}

TEST_CASE("no context means no limits") {
  const Call call(nullptr);
  CHECK_FALSE(call.cancelled());
  CHECK(call.cancelFd() == -1);
  CHECK(call.remaining(3s) == 3s);
  CHECK(call.operationId().empty());
  call.throwIfDone();
}

TEST_CASE("a buffer is released once") {
  static int released = 0;
  released = 0;
  {
    Buffer buffer;
    static char bytes[] = "abc";
    *buffer.out() = mos_buf{bytes, 3, nullptr, [](mos_buf *) { ++released; }};
    CHECK(buffer.view() == "abc");
  }
  CHECK(released == 1);
  { const Buffer untouched; }
  CHECK(released == 1);
  Buffer given;
  giveBuffer(given.out(), std::string(100'000, 'x'));
  CHECK(given.str().size() == 100'000);
}

TEST_CASE("a sink stops when told to, and keeps what its item throws") {
  std::vector<std::string> items;
  SinkOf collect([&](std::string_view item) {
    items.emplace_back(item);
    return items.size() < 2;
  });
  const mos_sink sink = collect.abi();
  CHECK(sink.item(sink.ctx, toAbi("a")) == MOS_SINK_CONTINUE);
  CHECK(sink.item(sink.ctx, toAbi("b")) == MOS_SINK_STOP);
  collect.rethrow();

  SinkOf broken([](std::string_view) -> bool { throw std::runtime_error("odd"); });
  const mos_sink other = broken.abi();
  CHECK(other.item(other.ctx, toAbi("a")) == MOS_SINK_STOP);
  CHECK_THROWS_AS(broken.rethrow(), std::runtime_error);
  broken.rethrow(); // once
}

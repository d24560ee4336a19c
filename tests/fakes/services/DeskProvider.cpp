#include "services/DeskProvider.h"

#include <matrixos/status.hpp>

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace matrixos::test {

namespace {

DeskProvider &of(void *self) {
  return *static_cast<DeskProvider *>(self);
}

} // namespace

DeskProvider::DeskProvider() {
  table_.struct_size = sizeof table_;
  table_.minor = EXAMPLE_DESK_1_MINOR;
  table_.self = this;
  table_.echo = [](void *self, const mos_call *call, mos_str text, mos_buf *out, mos_error *error) {
    return guarded(error, [&] { giveBuffer(out, of(self).echo(Call(call), std::string(fromAbi(text)))); });
  };
  table_.count = [](void *self, const mos_call *, std::int64_t items, std::uint32_t bytes, mos_sink sink, mos_error *) {
    const std::string item(bytes, 'i');
    for (std::int64_t i = 0; i < items; ++i) {
      ++of(self).given_;
      if (sink.item(sink.ctx, toAbi(item)) == MOS_SINK_STOP) break;
    }
    return mos_status{MOS_OK};
  };
  table_.ask = [](void *self, const mos_call *, mos_str text, mos_completion done, std::uint64_t *length,
                  mos_error *error) {
    if (fromAbi(text) == "no") return fail(error, Status::NotFound, "it will not be answered", "NO");
    *length = text.len;
    if (fromAbi(text) != "never") of(self).answerLater(done, std::string(fromAbi(text)));
    return mos_status{MOS_OK};
  };
  table_.peek = [](void *, mos_str text, mos_buf *out, mos_error *error) {
    return guarded(error, [&] {
      std::string turned(fromAbi(text));
      std::reverse(turned.begin(), turned.end());
      giveBuffer(out, turned);
    });
  };
  table_.letters = [](void *, mos_str text, mos_sink sink, mos_error *) {
    for (const char &letter : fromAbi(text)) {
      if (sink.item(sink.ctx, mos_str{&letter, 1}) == MOS_SINK_STOP) break;
    }
    return mos_status{MOS_OK};
  };
}

DeskProvider::~DeskProvider() {
  for (std::thread &thread : answering_)
    thread.join();
}

void DeskProvider::answerLater(mos_completion done, std::string text) {
  const std::lock_guard lock(mutex_);
  answering_.emplace_back([done, text = std::move(text)] {
    mos_error error{};
    const mos_status status = text == "fails" ? fail(&error, Status::Aborted, "it failed", "LATER") : MOS_OK;
    done.done(done.ctx, status, status == MOS_OK ? toAbi(text) : mos_str{}, status == MOS_OK ? nullptr : &error);
  });
}

std::string DeskProvider::echo(const Call &call, const std::string &text) {
  if (text.rfind("back:", 0) == 0) return back(text.substr(5));
  if (text == "throw") throw Error(Status::Aborted, "it went wrong at the desk, ä", "DESK", 1234);
  const bool hangs = text == "hang";
  if (hangs || text.rfind("slow:", 0) == 0) {
    const auto time = hangs ? std::chrono::hours{1} : std::chrono::milliseconds{std::atoi(text.c_str() + 5)};
    const auto end = std::chrono::steady_clock::now() + time;
    ++waiting_;
    while (std::chrono::steady_clock::now() < end && !call.cancelled()) {
      pollfd entry{call.cancelFd(), POLLIN, 0};
      ::poll(&entry, 1, 10);
    }
    --waiting_;
    if (call.cancelled()) {
      ++cancelled_;
      throw Error(Status::Cancelled, "it was cancelled at the desk");
    }
  }
  return R"({"text":")" + text + R"(","operation":")" + std::string(call.operationId()) + R"(","trace":")" +
         std::string(call.traceId()) + R"("})";
}

} // namespace matrixos::test

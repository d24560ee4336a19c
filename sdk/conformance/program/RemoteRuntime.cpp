#include "RemoteRuntime.h"

#include "../CheckedRuntime.h"

#include <csignal>
#include <stdexcept>

namespace matrixos::conformance {

namespace {

constexpr std::chrono::seconds kAnswerTime{60};
constexpr std::chrono::seconds kEndTime{5};

std::string textOf(mos_str text) {
  return std::string(fromAbi(text));
}

} // namespace

RemoteRuntime::RemoteRuntime(const Settings &settings) : settings_(settings) {
  fill();
  begin();
}

void RemoteRuntime::begin() {
  child_ = std::make_unique<Child>(argumentsOf(settings_, "serve"));
  const auto line = child_->receive(std::chrono::seconds{30});
  if (line == "ready") return;
  throw std::runtime_error("the plugin does not start again in a new process: " +
                           line.value_or(child_->wait(std::chrono::seconds{1})));
}

void RemoteRuntime::restart() {
  const std::lock_guard lock(mutex_);
  child_->send("stop");
  const std::string end = child_->wait(std::chrono::seconds{20});
  if (!child_->clean()) throw std::runtime_error("the process whose plugin was stopped ended with " + end);
  begin();
}

void RemoteRuntime::kill() {
  const std::lock_guard lock(mutex_);
  child_->signal(SIGKILL);
  child_->wait(std::chrono::seconds{5});
  begin();
}

void RemoteRuntime::sendOnly(const nlohmann::json &request) {
  const std::lock_guard lock(mutex_);
  child_->send(request.dump());
}

mos_status RemoteRuntime::call(nlohmann::json request, const mos_call *context, mos_buf *out, const mos_sink *items,
                               mos_error *error) {
  const std::lock_guard lock(mutex_);
  request["operation"] = textOf(context->operation_id);
  std::optional<std::string> line;
  if (child_->send(request.dump())) line = child_->receive(kAnswerTime);
  if (!line) {
    const std::string what = request.value("call", "") + "()";
    const std::string end = child_->ended() ? "the plugin ended its process with " + child_->wait(kEndTime) + " in "
                                            : "the process that hosts the plugin gave no answer to ";
    return fail(error, Status::Unavailable, end + what, "NO_ANSWER");
  }
  const nlohmann::json answer = nlohmann::json::parse(*line);
  const auto status = answer.value("status", MOS_INTERNAL);
  if (status != MOS_OK)
    return fail(error, static_cast<Status>(status), answer.value("message", ""), answer.value("reason", ""));
  if (items != nullptr) {
    for (const nlohmann::json &item : answer["items"]) {
      const std::string text = item.dump();
      if (items->item(items->ctx, toAbi(text)) == MOS_SINK_STOP) break;
    }
  }
  if (out != nullptr) giveBuffer(out, answer.value("out", ""));
  return MOS_OK;
}

void RemoteRuntime::fill() {
  static const auto of = [](void *self) -> RemoteRuntime & { return *static_cast<RemoteRuntime *>(self); };
  table_.struct_size = sizeof table_;
  table_.self = this;
  table_.capabilities = [](void *self, const mos_call *call, mos_buf *out, mos_error *e) {
    return of(self).call({{"call", "capabilities"}}, call, out, nullptr, e);
  };
  table_.create = [](void *self, const mos_call *call, mos_str spec, mos_buf *out, mos_error *e) {
    return of(self).call({{"call", "create"}, {"text", textOf(spec)}}, call, out, nullptr, e);
  };
  table_.start = [](void *self, const mos_call *call, mos_str ref, mos_error *e) {
    return of(self).call({{"call", "start"}, {"text", textOf(ref)}}, call, nullptr, nullptr, e);
  };
  table_.stop = [](void *self, const mos_call *call, mos_str ref, std::int64_t grace, mos_error *e) {
    return of(self).call({{"call", "stop"}, {"text", textOf(ref)}, {"number", grace}}, call, nullptr, nullptr, e);
  };
  table_.remove = [](void *self, const mos_call *call, mos_str ref, std::uint32_t flags, mos_error *e) {
    return of(self).call({{"call", "remove"}, {"text", textOf(ref)}, {"number", flags}}, call, nullptr, nullptr, e);
  };
  table_.inspect = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
    return of(self).call({{"call", "inspect"}, {"text", textOf(ref)}}, call, out, nullptr, e);
  };
  table_.list = [](void *self, const mos_call *call, mos_str labels, mos_sink items, mos_error *e) {
    return of(self).call({{"call", "list"}, {"text", textOf(labels)}}, call, nullptr, &items, e);
  };
  table_.endpoints = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
    return of(self).call({{"call", "endpoints"}, {"text", textOf(ref)}}, call, out, nullptr, e);
  };
}

nlohmann::json carryOut(const mos_runtime_v1 &table, const nlohmann::json &request) {
  CheckedRuntime runtime(&table);
  const std::string call = request.value("call", "");
  const std::string text = request.value("text", "");
  const auto number = request.value("number", std::int64_t{0});
  const How how{request.value("operation", "")};
  Answer answer;
  if (call == "capabilities") answer = runtime.capabilities(how);
  if (call == "create") answer = runtime.create(text, how);
  if (call == "start") answer = runtime.start(text, how);
  if (call == "stop") answer = runtime.stop(text, std::chrono::milliseconds{number}, how);
  if (call == "remove") answer = runtime.remove(text, static_cast<std::uint32_t>(number), how);
  if (call == "inspect") answer = runtime.inspect(text, how);
  if (call == "list") answer = runtime.list(text, {}, how);
  if (call == "endpoints") answer = runtime.endpoints(text, how);
  return {{"status", answer.status},
          {"reason", answer.reason},
          {"message", answer.message},
          {"out", answer.out},
          {"items", answer.items}};
}

} // namespace matrixos::conformance

#include "CaseSession.h"

#include <matrixos/address.hpp>
#include <matrixos/ulid.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

namespace matrixos::conformance {

namespace {

std::atomic<unsigned> lastName{0};

/// A TCP port of 127.0.0.1 that is free, and that this process gives out once: a stopped instance keeps its port. From
/// below the range that the kernel picks from by itself.
int freePort() {
  constexpr unsigned kFirst = 12'000;
  constexpr unsigned kCount = 19'000;
  static std::atomic<unsigned> next{std::random_device{}()};
  for (;;) {
    const auto address = Address::fromIp("127.0.0.1", static_cast<std::uint16_t>(kFirst + next++ % kCount));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool isFree = ::bind(fd, address.data(), address.size()) == 0;
    ::close(fd);
    if (isFree) return address.port();
  }
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

} // namespace

std::string joined(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "nothing" : text;
}

std::string textOf(const Json &object, const char *key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool Pending::wait(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return done_; });
}

CaseSession::CaseSession(std::shared_ptr<CheckedRuntime> runtime, const Options &options, const Case &theCase)
    : runtime_(std::move(runtime)), options_(options), case_(theCase), mark_(word("mark")) {
  runtime_->beginCase();
}

CaseSession::~CaseSession() {
  close();
}

void CaseSession::close() {
  if (closed_) return;
  closed_ = true;
  for (const auto &pending : pending_)
    pending->cancel()->trigger();
  for (const auto &pending : pending_) {
    if (!pending->wait(options_.promptness)) abandoned_ = true;
  }
  if (!options_.keep && !abandoned_) cleanUp();
}

void CaseSession::cleanUp() {
  // Not through the recording runtime: what is done here is no part of the case.
  CheckedRuntime quiet(runtime_->table(), options_.viaHost);
  for (const std::string &name : names_)
    quiet.remove(name, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS, How{operation()});
}

void CaseSession::fail(const std::string &expected, const std::string &got, const std::string &rule) const {
  throw Violation{expected, got, rule};
}
void CaseSession::skip(const std::string &reason) const {
  throw Skipped{reason};
}

void CaseSession::expect(bool holds, const std::string &expected, const std::string &got,
                         const std::string &rule) const {
  if (!holds) fail(expected, got, rule);
}

const Answer &CaseSession::ok(const Answer &answer, const std::string &what, const std::string &rule) const {
  if (!answer.ok()) fail("OK from " + what, answer.text(), rule);
  return answer;
}

const Answer &CaseSession::refused(const Answer &answer, const std::vector<mos_status> &statuses,
                                   const std::string &what, const std::string &rule) const {
  if (std::find(statuses.begin(), statuses.end(), answer.status) != statuses.end()) return answer;
  std::string wanted;
  for (const mos_status status : statuses)
    wanted += (wanted.empty() ? "" : " or ") + nameOf(status);
  fail(wanted + " from " + what, answer.text(), rule);
}

const Json &CaseSession::capabilities() {
  if (capabilities_.is_null()) {
    const Answer answer = runtime_->capabilities(how());
    ok(answer, "capabilities()");
    expect(answer.json.is_object(), "capabilities() gives a JSON object", answer.text());
    capabilities_ = answer.json;
  }
  return capabilities_;
}

bool CaseSession::can(const std::string &capability, bool otherwise) {
  const Json &all = capabilities();
  const auto found = all.find(capability);
  return found != all.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

void CaseSession::need(const std::string &capability) {
  if (!can(capability)) skip("the capabilities say \"" + capability + "\": false");
}

void CaseSession::unlessUnimplemented(const Answer &answer, const std::string &function, const std::string &promised) {
  if (answer.status != MOS_UNIMPLEMENTED) return;
  if (!promised.empty() && can(promised)) {
    fail("an answer from " + function + "(), since the capabilities say \"" + promised + "\": true", answer.text(),
         "runtime.h capabilities(): what this runtime and its engine can do");
  }
  skip("the runtime has no " + function + "()");
}

std::string CaseSession::word(const std::string &hint) const {
  return "mosconf-" + options_.runId + "-" + hint + "-" + std::to_string(++lastName);
}

std::string CaseSession::name(const std::string &hint) {
  names_.push_back(word(hint));
  return names_.back();
}

std::string CaseSession::operation() const {
  return lower(makeUlid());
}

How CaseSession::how(std::string operationId) const {
  How how;
  how.operationId = std::move(operationId);
  how.timeout = options_.callTimeout;
  return how;
}

Json CaseSession::spec(const std::string &name, const std::string &variant) const {
  Json spec{{"name", name}, {"image", options_.image}, {"memoryBytes", 128 * 1024 * 1024},
            {"cpus", 0.5},  {"pidsLimit", 128},        {"restart", "no"}};
  spec["labels"] = {{MOS_LABEL_MANAGED, "true"},
                    {MOS_LABEL_INSTANCE, lower(makeUlid())},
                    {MOS_LABEL_HANDLE, "conformance"},
                    {MOS_LABEL_GENERATION, "1"},
                    {MOS_LABEL_SPEC_HASH, name + "-" + variant},
                    {MOS_LABEL_OPERATION, operation()},
                    {"matrixos.conformance", options_.runId},
                    {mark().first, mark().second}};
  Json env(options_.env);
  env["CONFORMANCE_VARIANT"] = variant;
  spec["env"] = std::move(env);
  if (!options_.command.empty()) spec["command"] = options_.command;
  if (!options_.network.empty()) spec["networks"] = Json::array({{{"name", options_.network}, {"driver", "bridge"}}});
  Json port{{"name", "gateway"}, {"containerPort", options_.port}};
  if (options_.hostPorts) {
    port["hostPort"] = freePort();
    port["hostAddress"] = "127.0.0.1";
  }
  spec["ports"] = Json::array({port});
  return spec;
}

How CaseSession::creating(const Json &spec) const {
  return how(textOf(spec.value("labels", Json::object()), MOS_LABEL_OPERATION));
}

std::string CaseSession::create(const Json &spec) {
  const Answer answer = runtime_->create(spec.dump(), creating(spec));
  ok(answer, "create() of a fresh name", "runtime.h create(): creates, does not start; returns {\"ref\": text}");
  const std::string ref = textOf(answer.json, "ref");
  expect(!ref.empty(), "{\"ref\": text} from create()", answer.text(), "runtime.h create(): returns {\"ref\": text}");
  return ref;
}

std::string CaseSession::running(const Json &spec) {
  const std::string ref = create(spec);
  start(ref);
  return ref;
}

void CaseSession::start(const std::string &ref) {
  ok(runtime_->start(ref, how(operation())), "start() of a created instance");
}
void CaseSession::stop(const std::string &ref) {
  ok(runtime_->stop(ref, std::chrono::seconds{2}, how(operation())), "stop() of an instance");
}
void CaseSession::remove(const std::string &ref, std::uint32_t flags) {
  ok(runtime_->remove(ref, flags, how(operation())), "remove() of an instance");
}

Json CaseSession::inspect(const std::string &ref) {
  const Answer answer = runtime_->inspect(ref, how());
  ok(answer, "inspect() of an instance that is there");
  expect(answer.json.is_object(), "a JSON object from inspect()", answer.text());
  return answer.json;
}

void CaseSession::expectState(const std::string &ref, const std::vector<std::string> &states,
                              const std::string &after) {
  const std::string state = stateOf(ref);
  std::string wanted;
  for (const std::string &one : states)
    wanted += (wanted.empty() ? "" : " or ") + one;
  expect(std::find(states.begin(), states.end(), state) != states.end(), "state " + wanted + " after " + after,
         "state " + (state.empty() ? "missing" : state));
}

std::vector<Json> CaseSession::list(const std::string &labels) {
  const Answer answer = runtime_->list(labels, {}, how());
  ok(answer, "list()", "runtime.h list(): complete, or a failure");
  return answer.items;
}

void CaseSession::expectGone(const std::string &ref, const std::string &after) {
  refused(runtime_->inspect(ref, how()), {MOS_NOT_FOUND}, "inspect() after " + after,
          "runtime.h inspect(): MOS_NOT_FOUND when the engine surely has none");
}

std::shared_ptr<Pending> CaseSession::async(std::function<Answer(CheckedRuntime &, How)> call) {
  auto pending = std::make_shared<Pending>();
  pending_.push_back(pending);
  How context = how();
  context.cancel = pending->cancel_;
  std::thread([pending, context, call = std::move(call), runtime = runtime_] {
    Answer answer = call(*runtime, context);
    const std::lock_guard lock(pending->mutex_);
    pending->answer_ = std::move(answer);
    pending->done_ = true;
    pending->changed_.notify_all();
  }).detach();
  return pending;
}

const Answer &CaseSession::await(const std::shared_ptr<Pending> &pending, std::chrono::milliseconds limit,
                                 const std::string &what) {
  if (!pending->wait(limit)) {
    fail(what + " to return within " + std::to_string(limit.count()) + " ms", "it is still inside the runtime",
         "base.h mos_call: the callee stops early when deadline_ns has passed or cancelled() answers 1");
  }
  return pending->answer();
}

std::vector<Answer> CaseSession::parallel(int count, const std::function<Answer(CheckedRuntime &, int)> &call) {
  std::vector<std::shared_ptr<Pending>> all;
  for (int i = 0; i < count; ++i)
    all.push_back(async([call, i](CheckedRuntime &runtime, const How &) { return call(runtime, i); }));
  std::vector<Answer> answers;
  for (const auto &pending : all)
    answers.push_back(
        await(pending, options_.callTimeout * 2, "each of " + std::to_string(count) + " concurrent calls"));
  return answers;
}

EventSubscription::EventSubscription(CaseSession &session, const std::string &labels) : session_(session) {
  pending_ = session.async([log = log_, labels](CheckedRuntime &runtime, How how) {
    how.timeout = std::chrono::hours{1};
    return runtime.events(
        labels,
        [log](const std::string &item) {
          const std::lock_guard lock(log->mutex);
          log->items.push_back(Json::parse(item, nullptr, false));
          log->changed.notify_all();
          return true;
        },
        how);
  });
  // events() does not say from when on it listens; the first event of an instance made for this does.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (std::chrono::steady_clock::now() < end) {
    if (pending_->wait(std::chrono::milliseconds{0})) {
      session.unlessUnimplemented(pending_->answer(), "events");
      session.fail("events() blocks until it is cancelled", pending_->answer().text());
    }
    Json spec = session.spec(session.name("sentinel"));
    spec["labels"].update(Json::parse(labels));
    const std::string ref = session.create(spec);
    const bool heard = waitFor(textOf(spec, "name"), "created", std::chrono::milliseconds{500});
    session.remove(ref);
    if (heard) return;
  }
  session.fail("an event for an instance that was created while events() listens", "none within 10 s");
}

bool EventSubscription::waitFor(const std::string &name, const std::string &type,
                                std::chrono::milliseconds limit) const {
  std::unique_lock lock(log_->mutex);
  return log_->changed.wait_for(lock, limit, [&] {
    return std::any_of(log_->items.begin(), log_->items.end(),
                       [&](const Json &item) { return textOf(item, "name") == name && textOf(item, "type") == type; });
  });
}

std::vector<std::string> EventSubscription::typesOf(const std::string &name) const {
  std::vector<std::string> types;
  for (const Json &item : all()) {
    if (textOf(item, "name") == name) types.push_back(textOf(item, "type"));
  }
  return types;
}

std::vector<Json> EventSubscription::all() const {
  const std::lock_guard lock(log_->mutex);
  return log_->items;
}

const Answer &EventSubscription::end() {
  pending_->cancel()->trigger();
  return session_.await(pending_, session_.options().promptness, "events() that was cancelled");
}

std::string CaseSession::stateOf(const std::string &ref) {
  return textOf(inspect(ref), "state");
}

} // namespace matrixos::conformance

#include "Engine.h"

#include <matrixos/instance_record.hpp>
#include <matrixos/json_text.hpp>

namespace matrixos::orchestrator {

namespace {

using namespace managed;

constexpr std::chrono::milliseconds kNoTimeout = std::chrono::milliseconds::max();

/// Reads what an engine said; nonsense becomes the engine's failure, not the caller's.
auto readReply(const char *call, auto &&read) {
  try {
    return read();
  } catch (const Error &e) {
    throw Error(Status::Unavailable, "the runtime's answer to " + std::string(call) + " makes no sense: " + e.what(),
                MOS_REASON_ENGINE_REPLY);
  }
}

Description readDescription(std::string_view reply) {
  const Json object = parseObject(reply);
  Description d;
  d.ref = text(object, "ref");
  d.name = textOr(object, "name", {});
  d.state = text(object, "state");
  d.imageDigest = textOr(object, "imageDigest", {});
  d.createdAt = integerOr(object, "createdAt", 0);
  d.exitCode = integerOr(object, "exitCode", 0);
  d.oomKilled = flagOr(object, "oomKilled", false);
  d.startedAt = integerOr(object, "startedAt", 0);
  d.restarts = integerOr(object, "restarts", -1);
  d.labels = textsOf(object, "labels");
  d.endpoints = readEndpoints(object);
  eachOf(object, "occupiedPorts", [&](const Json &port) {
    if (!port.is_number_integer()) throw badField("the items of \"occupiedPorts\" have to be ports");
    d.occupiedPorts.push_back(port.get<int>());
  });
  return d;
}

} // namespace

const std::string &Description::label(const std::string &key) const {
  static const std::string kNone;
  const auto found = labels.find(key);
  return found == labels.end() ? kNone : found->second;
}

/// One call in flight, known to cancelAll().
class Engine::Scope {
public:
  Scope(Engine &engine, std::chrono::milliseconds timeout, const std::string &operationId)
      : engine_(engine), scope_(timeout, operationId) {
    const std::lock_guard lock(engine_.mutex_);
    if (engine_.cancelled_) throw Error(Status::Cancelled, "the daemon is stopping", "STOPPING");
    engine_.inFlight_.insert(&scope_);
  }
  Scope(const Scope &) = delete;
  Scope &operator=(const Scope &) = delete;
  ~Scope() {
    const std::lock_guard lock(engine_.mutex_);
    engine_.inFlight_.erase(&scope_);
  }
  const mos_call *abi() const noexcept { return scope_.abi(); }

private:
  Engine &engine_;
  CallScope scope_;
};

auto Engine::call(const char *name, std::chrono::milliseconds timeout, const std::string &operationId, auto &&body) {
  const Scope scope(*this, timeout, operationId);
  try {
    return body(scope.abi());
  } catch (const Error &e) {
    if (e.status() != Status::NotFound && e.status() != Status::Cancelled) telemetry_.engineFailed(name);
    throw;
  }
}

Capabilities Engine::capabilities() {
  {
    const std::lock_guard lock(mutex_);
    if (capabilities_) return *capabilities_;
  }
  const std::string reply = call("capabilities", settings_.get()->engineTimeout, {},
                                 [&](const mos_call *c) { return runtime_.capabilities(c); });
  const Capabilities read = readReply("capabilities", [&] {
    const Json object = parseObject(reply);
    return Capabilities{flagOr(object, "publishesPorts", false), flagOr(object, "pause", false),
                        flagOr(object, "volumes", false)};
  });
  const std::lock_guard lock(mutex_);
  capabilities_ = read;
  return read;
}

void Engine::forgetCapabilities() {
  const std::lock_guard lock(mutex_);
  capabilities_.reset();
}

void Engine::ping() {
  call("capabilities", settings_.get()->engineTimeout, {}, [&](const mos_call *c) { runtime_.capabilities(c); });
}

std::string Engine::pull(const std::string &image, const std::function<void(const Progress &)> &progress) {
  const auto settings = settings_.get();
  JsonObject request;
  request.add("image", image).add("policy", settings->pullPolicy);
  const std::string body = std::move(request).str();
  const std::string reply = call("pull", settings->pullTimeout, {}, [&](const mos_call *c) {
    return runtime_.pull(c, body, [&](std::string_view item) {
      readReply("pull", [&] {
        const Json object = parseObject(item);
        progress({textOr(object, "phase", {}), integerOr(object, "current", 0), integerOr(object, "total", 0)});
        return true;
      });
      return true;
    });
  });
  return readReply("pull", [&] { return reply.empty() ? std::string() : textOr(parseObject(reply), "digest", {}); });
}

std::string Engine::create(const std::string &spec, const std::string &operationId) {
  const std::string reply = call("create", settings_.get()->createTimeout, operationId,
                                 [&](const mos_call *c) { return runtime_.create(c, spec); });
  return readReply("create", [&] {
    std::string ref = text(parseObject(reply), "ref");
    if (ref.empty()) throw Error(Status::InvalidArgument, "the ref is empty");
    return ref;
  });
}

Description Engine::start(const std::string &ref, const std::string &operationId) {
  const std::string reply = call("start", settings_.get()->startTimeout, operationId,
                                 [&](const mos_call *c) { return runtime_.startDescribed(c, ref); });
  return readReply("start", [&] { return readDescription(reply); });
}

void Engine::unpause(const std::string &ref, const std::string &operationId) {
  call("unpause", settings_.get()->engineTimeout, operationId, [&](const mos_call *c) { runtime_.unpause(c, ref); });
}

void Engine::stop(const std::string &ref, const std::string &operationId) {
  const auto settings = settings_.get();
  call("stop", settings->engineTimeout + settings->stopGrace, operationId,
       [&](const mos_call *c) { runtime_.stop(c, ref, settings->stopGrace); });
}

void Engine::remove(const std::string &ref, const std::string &operationId) {
  call("remove", settings_.get()->engineTimeout, operationId,
       [&](const mos_call *c) { runtime_.remove(c, ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS); });
}

std::optional<Description> Engine::inspect(const std::string &ref) {
  try {
    const std::string reply = call("inspect", settings_.get()->engineTimeout, {},
                                   [&](const mos_call *c) { return runtime_.inspect(c, ref); });
    return readReply("inspect", [&] { return readDescription(reply); });
  } catch (const Error &e) {
    if (e.status() == Status::NotFound) return std::nullopt;
    throw;
  }
}

void Engine::list(const std::string &labels, const std::function<void(Description)> &item) {
  call("list", settings_.get()->engineTimeout, {}, [&](const mos_call *c) {
    runtime_.list(c, labels, [&](std::string_view reply) {
      item(readReply("list", [&] { return readDescription(reply); }));
      return true;
    });
  });
}

void Engine::events(const std::string &labels, const std::function<void(const EngineEvent &)> &item) {
  call("events", kNoTimeout, {}, [&](const mos_call *c) {
    runtime_.events(c, labels, [&](std::string_view reply) {
      item(readReply("events", [&] {
        const Json object = parseObject(reply);
        return EngineEvent{textOr(object, "type", {}), textOr(object, "ref", {}), textOr(object, "name", {}),
                           integerOr(object, "time", 0), integerOr(object, "exitCode", 0)};
      }));
      return true;
    });
  });
}

Engine::Volume Engine::ensureVolume(const std::string &request, const std::string &operationId) {
  const std::string reply = call("volume_ensure", settings_.get()->engineTimeout, operationId,
                                 [&](const mos_call *c) { return runtime_.volumeEnsure(c, request); });
  return readReply("volume_ensure", [&] {
    const Json object = parseObject(reply);
    return Volume{text(object, "volume"), flagOr(object, "created", false)};
  });
}

bool Engine::removeEmptyVolume(const std::string &ref, const std::string &operationId) {
  return call("volume_remove_if_empty", settings_.get()->engineTimeout, operationId, [&](const mos_call *c) {
    try {
      runtime_.volumeRemoveIfEmpty(c, ref);
      return true;
    } catch (const Error &e) {
      if (e.status() == Status::Unimplemented) {
        std::call_once(toldOfVolumes_, [&] {
          telemetry_.log().info("the runtime removes no empty volumes: those of failed provisions go to the trash");
        });
      } else if (e.status() != Status::FailedPrecondition) {
        throw;
      }
      return false;
    }
  });
}

void Engine::trashVolume(const std::string &ref, const std::string &as, const std::string &operationId) {
  call("volume_trash", settings_.get()->engineTimeout, operationId,
       [&](const mos_call *c) { runtime_.volumeTrash(c, ref, as); });
}

void Engine::cancelAll() noexcept {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (CallScope *scope : inFlight_)
    scope->cancel();
}

bool Engine::isCancelled() const noexcept {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

} // namespace matrixos::orchestrator

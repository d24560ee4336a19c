#include "FakeRuntime.h"

#include <matrixos/json.hpp>

#include <cstdio>
#include <fstream>
#include <memory>

namespace matrixos::test {

namespace {

std::map<std::string, std::string> labelsOf(const json::Object::Ptr &object) {
  std::map<std::string, std::string> labels;
  if (object) {
    for (const std::string &key : object->getNames())
      labels[key] = object->getValue<std::string>(key);
  }
  return labels;
}

} // namespace

void FakeRuntime::persistTo(const std::string &path) {
  const std::lock_guard lock(mutex_);
  path_ = path;
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (text.empty()) return;
  const json::Object::Ptr state = json::parseObject(text);
  nextRef_ = state->getValue<int>("nextRef");
  for (const auto &value : *state->getArray("volumes"))
    volumeRefs_.insert(value.toString());
  for (const auto &value : *state->getArray("networks"))
    networks_.insert(value.toString());
  trash_ = labelsOf(state->getObject("trash"));
  for (const auto &value : *state->getArray("containers")) {
    const auto item = value.extract<json::Object::Ptr>();
    Container container;
    container.ref = item->getValue<std::string>("ref");
    container.name = item->getValue<std::string>("name");
    container.state = item->getValue<std::string>("state");
    container.network = item->getValue<std::string>("network");
    container.spec = item->getValue<std::string>("spec");
    container.labels = labelsOf(item->getObject("labels"));
    for (const auto &port : *item->getArray("ports"))
      container.hostPorts.push_back(port.convert<int>());
    containers_[container.name] = container;
  }
}

void FakeRuntime::save() const {
  if (path_.empty()) return;
  const auto mapOf = [](const std::map<std::string, std::string> &map) {
    json::Object::Ptr object = new json::Object;
    for (const auto &[key, value] : map)
      object->set(key, value);
    return object;
  };
  const auto listOf = [](const auto &values) {
    json::Array::Ptr array = new json::Array;
    for (const auto &value : values)
      array->add(value);
    return array;
  };
  json::Array::Ptr containers = new json::Array;
  for (const auto &[name, container] : containers_) {
    json::Object::Ptr item = new json::Object;
    item->set("ref", container.ref);
    item->set("name", name);
    item->set("state", container.state);
    item->set("network", container.network);
    item->set("spec", container.spec);
    item->set("labels", mapOf(container.labels));
    item->set("ports", listOf(container.hostPorts));
    containers->add(item);
  }
  json::Object state;
  state.set("nextRef", nextRef_);
  state.set("volumes", listOf(volumeRefs_));
  state.set("networks", listOf(networks_));
  state.set("trash", mapOf(trash_));
  state.set("containers", containers);
  std::ofstream(path_ + ".new") << json::dump(state);
  std::rename((path_ + ".new").c_str(), path_.c_str());
}

void FakeRuntime::failNext(const std::string &call, Fault fault) {
  const std::lock_guard lock(mutex_);
  next_[call].push_back(std::move(fault));
}

void FakeRuntime::failAlways(const std::string &call, std::optional<Fault> fault) {
  const std::lock_guard lock(mutex_);
  always_.erase(call);
  if (fault) always_.emplace(call, *std::move(fault));
}

void FakeRuntime::hold(const std::string &call) {
  const std::lock_guard lock(mutex_);
  heldCalls_.insert(call);
}

void FakeRuntime::release(const std::string &call) {
  const std::lock_guard lock(mutex_);
  heldCalls_.erase(call);
  changed_.notify_all();
}

int FakeRuntime::held(const std::string &call) const {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(call);
  return found == waiting_.end() ? 0 : found->second;
}

void FakeRuntime::occupy(int port) {
  const std::lock_guard lock(mutex_);
  occupied_.insert(port);
}

void FakeRuntime::changeState(const std::string &name, const std::string &state, int exitCode) {
  const std::lock_guard lock(mutex_);
  Container &container = containers_.at(name);
  container.state = state;
  container.exitCode = exitCode;
}

void FakeRuntime::removeBehind(const std::string &name) {
  const std::lock_guard lock(mutex_);
  containers_.erase(name);
}

void FakeRuntime::addForeign(const std::string &name, const std::map<std::string, std::string> &labels) {
  const std::lock_guard lock(mutex_);
  Container container;
  container.ref = "foreign-" + std::to_string(nextRef_++);
  container.name = name;
  container.labels = labels;
  container.state = "running";
  containers_[name] = container;
}

void FakeRuntime::edit(const std::string &name, const std::function<void(Container &)> &change) {
  const std::lock_guard lock(mutex_);
  change(containers_.at(name));
}

void FakeRuntime::rename(const std::string &name, const std::string &other) {
  const std::lock_guard lock(mutex_);
  auto node = containers_.extract(name);
  node.key() = node.mapped().name = other;
  containers_.insert(std::move(node));
}

std::string FakeRuntime::env(const std::string &name, const std::string &key) const {
  const auto found = container(name);
  if (!found || found->spec.empty()) return {};
  const json::Object::Ptr env = json::findObject(*json::parseObject(found->spec), "env");
  return env ? json::findString(*env, key).value_or("") : "";
}

void FakeRuntime::crash(const std::string &name, int exitCode, const std::string &state) {
  edit(name, [&](Container &container) {
    ++container.restarts;
    container.state = state;
    container.exitCode = state == "running" ? 0 : exitCode;
    if (state == "running") container.startedAt = nextStart();
  });
}

void FakeRuntime::sendEvent(const std::string &type, const std::string &name, int exitCode) {
  json::Object event;
  event.set("type", type);
  event.set("name", name);
  event.set("exitCode", exitCode);
  const std::lock_guard lock(mutex_);
  if (const auto found = containers_.find(name); found != containers_.end()) {
    event.set("ref", found->second.ref);
    event.set("time", found->second.startedAt + 1);
  }
  events_.push_back(json::dump(event));
  changed_.notify_all();
}

bool FakeRuntime::listens() const {
  const std::lock_guard lock(mutex_);
  return listening_ != 0;
}

bool FakeRuntime::eventsHeard() const {
  const std::lock_guard lock(mutex_);
  return events_.empty() && !telling_;
}

std::optional<FakeRuntime::Container> FakeRuntime::container(const std::string &name) const {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(name);
  if (found == containers_.end()) return std::nullopt;
  return found->second;
}

std::size_t FakeRuntime::count() const {
  const std::lock_guard lock(mutex_);
  return containers_.size();
}

std::set<std::string> FakeRuntime::networks() const {
  const std::lock_guard lock(mutex_);
  return networks_;
}

std::set<std::string> FakeRuntime::volumeRefs() const {
  const std::lock_guard lock(mutex_);
  return volumeRefs_;
}

void FakeRuntime::loseVolumes() {
  const std::lock_guard lock(mutex_);
  volumeRefs_.clear();
}

std::map<std::string, std::string> FakeRuntime::trash() const {
  const std::lock_guard lock(mutex_);
  return trash_;
}

int FakeRuntime::calls(const std::string &call) const {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(call);
  return found == calls_.end() ? 0 : found->second;
}

void FakeRuntime::perform(const char *name, const Call &call, const std::function<void()> &effect) {
  std::unique_lock lock(mutex_);
  ++calls_[name];
  ++waiting_[name];
  while (heldCalls_.count(name) != 0) {
    // Not remaining(), which is 0 for the last millisecond already.
    const bool late = call.deadlineNanos() != MOS_NO_DEADLINE && monotonicNanos() >= call.deadlineNanos();
    if (call.cancelled() || late) break;
    changed_.wait_for(lock, std::chrono::milliseconds(5));
  }
  --waiting_[name];
  call.throwIfDone();
  std::optional<Fault> fault;
  if (auto &queue = next_[name]; !queue.empty()) {
    fault = queue.front();
    queue.pop_front();
  } else if (const auto found = always_.find(name); found != always_.end()) {
    fault = found->second;
  }
  if (fault && !fault->after) throw fault->error;
  effect();
  save();
  if (fault) throw fault->error;
}

FakeRuntime::Container *FakeRuntime::find(std::string_view refOrName) {
  for (auto &[name, container] : containers_) {
    if (container.ref == refOrName || name == refOrName) return &container;
  }
  return nullptr;
}

std::string FakeRuntime::capabilities(const Call &call) {
  std::string answer;
  perform("capabilities", call, [&] {
    json::Object object;
    object.set("engine", "fake");
    object.set("publishesPorts", publishesPorts);
    object.set("pause", true);
    object.set("volumes", volumes);
    answer = json::dump(object);
  });
  return answer;
}

std::string FakeRuntime::pull(const Call &call, std::string_view, const ItemFn &progress) {
  progress(R"({"phase":"layers","current":5,"total":10})");
  perform("pull", call, [] {});
  return R"({"digest":"sha256:feed"})";
}

std::string FakeRuntime::create(const Call &call, std::string_view specJson) {
  std::string ref;
  const json::Object::Ptr spec = json::parseObject(specJson);
  perform("create", call, [&] {
    const std::string name = json::getString(*spec, "name");
    const auto labels = labelsOf(json::findObject(*spec, "labels"));
    if (const auto found = containers_.find(name); found != containers_.end()) {
      const auto &old = found->second.labels;
      const auto same = [&](const char *key) { return old.count(key) != 0 && old.at(key) == labels.at(key); };
      if (same(MOS_LABEL_SPEC_HASH) || same(MOS_LABEL_OPERATION)) {
        ref = found->second.ref;
        return;
      }
      throw Error(Status::AlreadyExists, "the name is taken by " + found->second.ref, MOS_REASON_NAME_IN_USE);
    }
    Container container;
    container.ref = ref = "c" + std::to_string(nextRef_++);
    container.name = name;
    container.labels = labels;
    container.spec = specJson;
    if (const auto ports = json::findArray(*spec, "ports")) {
      for (unsigned i = 0; i < ports->size(); ++i) {
        const auto port = static_cast<int>(json::getInt(*ports->getObject(i), "hostPort", 0));
        if (port != 0) container.hostPorts.push_back(port);
      }
    }
    if (const auto list = json::findArray(*spec, "networks")) {
      container.network = json::getString(*list->getObject(0), "name");
      networks_.insert(container.network);
    }
    containers_[name] = container;
  });
  json::Object answer;
  answer.set("ref", ref);
  return json::dump(answer);
}

void FakeRuntime::start(const Call &call, std::string_view ref) {
  perform("start", call, [&] {
    Container *container = find(ref);
    if (container == nullptr) throw Error(Status::NotFound, "no such container");
    for (const int port : container->hostPorts) {
      if (occupied_.count(port) != 0) {
        throw Error(Status::Aborted, "a host port is in use", MOS_REASON_PORT_IN_USE);
      }
      for (const auto &[name, other] : containers_) {
        if (&other == container || other.state != "running") continue;
        for (const int taken : other.hostPorts) {
          if (taken == port) throw Error(Status::Aborted, "two containers on one port", MOS_REASON_PORT_IN_USE);
        }
      }
    }
    if (container->state != "running") {
      container->startedAt = nextStart();
      container->restarts = 0;
    }
    container->state = "running";
    container->unreachable = false;
  });
}

void FakeRuntime::stop(const Call &call, std::string_view ref, std::chrono::milliseconds) {
  perform("stop", call, [&] {
    if (Container *container = find(ref)) container->state = "exited";
  });
}

void FakeRuntime::remove(const Call &call, std::string_view ref, std::uint32_t flags) {
  perform("remove", call, [&] {
    if (const Container *container = find(ref)) containers_.erase(std::string(container->name));
    if ((flags & MOS_REMOVE_UNUSED_NETWORKS) == 0) return;
    std::set<std::string> used;
    for (const auto &[name, container] : containers_)
      used.insert(container.network);
    for (auto at = networks_.begin(); at != networks_.end();)
      at = used.count(*at) != 0 ? std::next(at) : networks_.erase(at);
  });
}

std::string FakeRuntime::describe(const Container &container) const {
  json::Object object;
  object.set("ref", container.ref);
  object.set("name", container.name);
  object.set("state", container.state);
  object.set("imageDigest", "sha256:feed");
  object.set("exitCode", container.exitCode);
  object.set("oomKilled", container.oomKilled);
  object.set("startedAt", container.startedAt);
  object.set("restarts", container.restarts);
  json::Object::Ptr labels = new json::Object;
  for (const auto &[key, value] : container.labels)
    labels->set(key, value);
  object.set("labels", labels);
  json::Array::Ptr endpoints = new json::Array;
  if (container.state == "running" && !container.unreachable) {
    json::Object::Ptr endpoint = new json::Object;
    endpoint->set("name", "gateway");
    endpoint->set("address", sharesNetwork ? "127.0.0.1" : "172.18.0.5");
    endpoint->set("port", 4000);
    endpoint->set("scope", sharesNetwork ? "host" : "bridge");
    endpoint->set("epoch", container.ref + "@" + std::to_string(container.startedAt - kFirstStart));
    endpoints->add(endpoint);
  }
  object.set("endpoints", endpoints);
  return json::dump(object);
}

std::string FakeRuntime::inspect(const Call &call, std::string_view ref) {
  std::string answer;
  perform("inspect", call, [&] {
    const Container *container = find(ref);
    if (container == nullptr) throw Error(Status::NotFound, "no such container");
    answer = describe(*container);
    if (!namesOccupied) return;
    json::Object::Ptr description = json::parseObject(answer);
    json::Array::Ptr ports = new json::Array;
    for (const int port : container->hostPorts) {
      if (occupied_.count(port) != 0) ports->add(port);
    }
    description->set("occupiedPorts", ports);
    answer = json::dump(*description);
  });
  return answer;
}

std::string FakeRuntime::startDescribed(const Call &call, std::string_view ref) {
  if (!describesStarts) return Runtime::startDescribed(call, ref);
  start(call, ref);
  const std::lock_guard lock(mutex_);
  return describe(*find(ref));
}

void FakeRuntime::list(const Call &call, std::string_view labelsJson, const ItemFn &item) {
  const auto wanted = labelsOf(json::parseObject(labelsJson));
  std::vector<std::string> items;
  perform("list", call, [&] {
    for (const auto &[name, container] : containers_) {
      bool fits = true;
      for (const auto &[key, value] : wanted)
        fits = fits && container.labels.count(key) != 0 && container.labels.at(key) == value;
      if (fits) items.push_back(describe(container));
    }
  });
  for (const std::string &text : items) {
    if (!item(text)) return;
  }
}

void FakeRuntime::unpause(const Call &call, std::string_view ref) {
  perform("unpause", call, [&] {
    Container *container = find(ref);
    if (container == nullptr) throw Error(Status::NotFound, "no such container");
    container->state = "running";
  });
}

void FakeRuntime::events(const Call &call, std::string_view, const ItemFn &item) {
  perform("events", call, [] {});
  std::unique_lock lock(mutex_);
  ++listening_;
  const std::shared_ptr<void> ended(nullptr, [this](void *) { --listening_; });
  for (;;) {
    while (!events_.empty()) {
      const std::string event = events_.front();
      events_.pop_front();
      telling_ = true;
      lock.unlock();
      item(event);
      lock.lock();
      telling_ = false;
    }
    call.throwIfDone();
    changed_.wait_for(lock, std::chrono::milliseconds(5));
  }
}

std::string FakeRuntime::volumeEnsure(const Call &call, std::string_view requestJson) {
  const json::Object::Ptr request = json::parseObject(requestJson);
  const std::string path = json::getString(*request, "hostPath");
  const bool exists = knowsWhatExists && json::getBool(*request, "exists", false);
  bool created = false;
  perform("volume_ensure", call, [&] {
    if (exists && volumeRefs_.count(path) == 0)
      throw Error(Status::NotFound, path + " is missing", unmounted ? "USERS_DIR_MISSING" : "VOLUME_NOT_FOUND");
    created = volumeRefs_.insert(path).second;
  });
  json::Object answer;
  answer.set("volume", path);
  answer.set("created", created);
  return json::dump(answer);
}

void FakeRuntime::volumeTrash(const Call &call, std::string_view volume, std::string_view as) {
  perform("volume_trash", call, [&] {
    if (volumeRefs_.erase(std::string(volume)) != 0) trash_[std::string(as)] = volume;
  });
}

void FakeRuntime::volumeRemoveIfEmpty(const Call &call, std::string_view volume) {
  if (!removesVolumes) throw unimplemented("volumes that it removes");
  perform("volume_remove_if_empty", call, [&] {
    if (volumesHoldData) throw Error(Status::FailedPrecondition, "the volume holds something");
    volumeRefs_.erase(std::string(volume));
  });
}

std::string FakeRuntime::endpoints(const Call &, std::string_view) {
  return "[]";
}

} // namespace matrixos::test

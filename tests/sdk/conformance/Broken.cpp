/// A runtime that breaks one rule, named in its configuration: runtime-c behind a decorator. It shows that the kit sees
/// the fault, and that only the cases of the broken rule fail.
#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>
#include <matrixos/host.hpp>
#include <matrixos/plugin.hpp>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

// sdk/examples/runtime-c/runtime.c, compiled into this plugin under another name of its entry.
extern "C" const mos_descriptor_v1 *inner_entry(void);

namespace {

using Json = nlohmann::json;
using matrixos::fromAbi;
using matrixos::toAbi;

/// The text that a function of the inner table gave, for changing it.
std::string take(mos_buf *buf) {
  std::string text(buf->ptr, static_cast<std::size_t>(buf->len));
  if (buf->release != nullptr) buf->release(buf);
  return text;
}

/// The decorated table. One object for the plugin's whole life; `fault` chooses what is wrong.
class Broken {
public:
  std::string fault;
  const mos_runtime_v1 *inner = nullptr;
  mos_runtime_v1 table{};
  std::atomic<int> calls{0};
  std::mutex mutex;

  bool is(const char *name) const { return fault == name; }
  /// "segv-in-pause" and the like end the process there.
  void dieIn(const std::string &where) const {
    const auto at = fault.find("-in-" + where);
    const std::string how = at == std::string::npos ? "" : fault.substr(0, at);
    if (how == "segv") std::raise(SIGSEGV);
    if (how == "abort") std::abort();
    if (how == "exit") std::exit(3); // NOLINT(concurrency-mt-unsafe): on purpose
    if (how == "quit") std::exit(1); // NOLINT(concurrency-mt-unsafe)
  }

  void fill();
};

Broken &of(void *self) {
  return *static_cast<Broken *>(self);
}

/// What is wrong with how a failure is reported.
mos_status spoilFailure(const Broken &broken, mos_status status, mos_buf *out, mos_error *error) {
  if (status == MOS_OK) return status;
  if (broken.is("no-message") && error != nullptr) error->message[0] = '\0';
  if (broken.is("cut-message") && error != nullptr) std::memcpy(error->message, "caf\xc3", 5);
  if (broken.is("bad-reason") && error != nullptr && status == MOS_NOT_FOUND)
    std::memcpy(error->reason, "not a word", 11);
  if (broken.is("other-status") && error != nullptr) error->status = MOS_INTERNAL;
  if (broken.is("touches-buffer") && out != nullptr) out->len = 7;
  return status;
}

mos_status create(void *self, const mos_call *call, mos_str spec, mos_buf *out, mos_error *error) {
  Broken &broken = of(self);
  std::string text(fromAbi(spec));
  Json json = Json::parse(text, nullptr, false);
  const bool ofCreate = broken.is("forgets-operation") || broken.is("forgets-hash") || broken.is("adopts-anything") ||
                        broken.is("loses-label") || broken.is("mangles-unicode");
  // What this parser takes and the inner one refuses, such as a NUL behind the document, goes through as it is.
  const bool hasNoNul = text.find('\0') == std::string::npos;
  if (ofCreate && hasNoNul && json.is_object() && json.contains("labels") && json["labels"].is_object()) {
    Json &labels = json["labels"];
    const std::string unique = std::to_string(++broken.calls);
    if (broken.is("forgets-operation")) labels[MOS_LABEL_OPERATION] = unique;
    if (broken.is("forgets-hash")) labels[MOS_LABEL_SPEC_HASH] = unique;
    if (broken.is("adopts-anything")) labels[MOS_LABEL_OPERATION] = "the same";
    if (broken.is("loses-label")) labels.erase(MOS_LABEL_HANDLE);
    if (broken.is("mangles-unicode")) {
      for (auto &[key, value] : labels.items()) {
        if (!value.is_string()) continue;
        std::string plain = value.get<std::string>();
        for (char &c : plain)
          c = static_cast<unsigned char>(c) < 0x80 ? c : '?';
        value = plain;
      }
    }
    text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  // The label filter sees what the label had been: these faults are of create() alone.
  const mos_status status = broken.inner->create(broken.inner->self, call, toAbi(text), out, error);
  if (status == MOS_OK && broken.is("starts-at-create")) {
    const std::string name = json.value("name", "");
    broken.inner->start(broken.inner->self, call, toAbi(name), nullptr);
  }
  return spoilFailure(broken, status, out, error);
}

mos_status start(void *self, const mos_call *call, mos_str ref, mos_error *error) {
  Broken &broken = of(self);
  if (broken.is("start-does-nothing")) {
    matrixos::Buffer out;
    const mos_status status = broken.inner->inspect(broken.inner->self, call, ref, out.out(), error);
    return spoilFailure(broken, status, nullptr, error);
  }
  if (broken.is("crashes-in-start")) std::abort();
  return spoilFailure(broken, broken.inner->start(broken.inner->self, call, ref, error), nullptr, error);
}

mos_status stop(void *self, const mos_call *call, mos_str ref, std::int64_t grace, mos_error *error) {
  Broken &broken = of(self);
  if (broken.is("stop-needs-presence")) {
    matrixos::Buffer out;
    const mos_status status = broken.inner->inspect(broken.inner->self, call, ref, out.out(), error);
    if (status != MOS_OK) return status;
  }
  return broken.inner->stop(broken.inner->self, call, ref, grace, error);
}

mos_status removeInstance(void *self, const mos_call *call, mos_str ref, std::uint32_t flags, mos_error *error) {
  Broken &broken = of(self);
  if (broken.is("removes-what-runs")) flags |= MOS_REMOVE_FORCE;
  return broken.inner->remove(broken.inner->self, call, ref, flags, error);
}

mos_status inspect(void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *error) {
  Broken &broken = of(self);
  if (broken.is("refs-only") && fromAbi(ref).substr(0, 2) != "c-")
    return matrixos::fail(error, matrixos::Status::NotFound, "names are not known here", "NO_NAMES");
  const mos_status status = broken.inner->inspect(broken.inner->self, call, ref, out, error);
  if (status != MOS_OK) return spoilFailure(broken, status, out, error);
  if (broken.is("not-json")) {
    take(out);
    matrixos::giveBuffer(out, "{\"ref\": ");
  }
  if (broken.is("no-created-time")) {
    Json json = Json::parse(take(out));
    json.erase("createdAt");
    matrixos::giveBuffer(out, json.dump());
  }
  return status;
}

mos_status list(void *self, const mos_call *call, mos_str labels, mos_sink items, mos_error *error) {
  Broken &broken = of(self);
  std::vector<std::string> lines;
  matrixos::SinkOf collect([&](std::string_view line) {
    lines.emplace_back(line);
    return true;
  });
  const Json wanted = Json::parse(fromAbi(labels), nullptr, false);
  bool any = broken.is("any-label") && wanted.is_object() && wanted.size() == 2;
  for (const Json &value : any ? wanted : Json::object())
    any = any && value.is_string();
  const mos_status status =
      broken.inner->list(broken.inner->self, call, any ? toAbi("{}") : labels, collect.abi(), error);
  if (status != MOS_OK) return spoilFailure(broken, status, nullptr, error);
  int sent = 0;
  for (const std::string &line : lines) {
    if (any) {
      // The case's own mark has to match; of the further labels any value will do.
      const Json have = Json::parse(line)["labels"];
      bool fits = true;
      for (const auto &[key, value] : wanted.items()) {
        const bool mark = key == "matrixos.conformance-case";
        fits = fits && (mark ? have.value(key, Json()) == value : have.contains(key));
      }
      if (!fits) continue;
    }
    if (broken.is("loses-an-item") && lines.size() >= 10 && sent == 5) {
      ++sent;
      continue;
    }
    ++sent;
    if (broken.is("item-on-another-thread")) {
      std::thread([&] { items.item(items.ctx, toAbi(line)); }).join();
      continue;
    }
    const bool more = items.item(items.ctx, toAbi(line)) == MOS_SINK_CONTINUE;
    if (broken.is("lists-twice") && lines.size() >= 10 && sent == 5) items.item(items.ctx, toAbi(line));
    if (!more && !broken.is("ignores-stop")) break;
  }
  return MOS_OK;
}

/// Without the caller's context: what does not hear of deadlines and cancellation.
mos_status events(void *self, const mos_call *call, mos_str labels, mos_sink items, mos_error *error) {
  Broken &broken = of(self);
  if (broken.is("no-events"))
    return matrixos::fail(error, matrixos::Status::Unavailable, "there are no events today", "NONE");
  mos_call deaf = *call;
  const bool isDeaf = broken.is("deaf-events") && deaf.deadline_ns > matrixos::monotonicNanos();
  if (isDeaf) {
    deaf.cancelled = [](const mos_call *) -> std::int32_t { return 0; };
    deaf.deadline_ns = MOS_NO_DEADLINE;
  }
  struct Relay {
    Broken &broken;
    mos_sink items;
    std::string held{};
  } relay{broken, items};
  const mos_sink changed{&relay, [](void *ctx, mos_str line) -> std::int32_t {
                           auto &to = *static_cast<Relay *>(ctx);
                           const std::string text(fromAbi(line));
                           const std::string type = Json::parse(text).value("type", "");
                           if (to.broken.is("started-late") && type == "started") {
                             to.held = text;
                             return MOS_SINK_CONTINUE;
                           }
                           const std::int32_t answer = to.items.item(to.items.ctx, line);
                           if (!to.held.empty() && type == "stopped") {
                             to.items.item(to.items.ctx, toAbi(to.held));
                             to.held.clear();
                           }
                           return answer;
                         }};
  const mos_str filter = broken.is("unfiltered-events") ? toAbi("{}") : labels;
  return broken.inner->events(broken.inner->self, isDeaf ? &deaf : call, filter, changed, error);
}

mos_status endpoints(void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *error) {
  Broken &broken = of(self);
  const mos_status status = broken.inner->endpoints(broken.inner->self, call, ref, out, error);
  if (status != MOS_OK) return status;
  if (broken.is("one-epoch") || broken.is("endpoint-when-stopped")) {
    Json json = Json::parse(take(out));
    for (Json &endpoint : json) {
      if (broken.is("one-epoch")) endpoint["epoch"] = "always";
    }
    if (broken.is("endpoint-when-stopped") && json.empty())
      json.push_back({{"name", "gateway"}, {"address", "127.0.0.1"}, {"port", 1}, {"scope", "host"}, {"epoch", "0"}});
    matrixos::giveBuffer(out, json.dump());
  }
  return status;
}

mos_status pauseInstance(void *self, const mos_call *call, mos_str ref, mos_error *error) {
  Broken &broken = of(self);
  broken.dieIn("pause");
  if (broken.is("promises-pause"))
    return matrixos::fail(error, matrixos::Status::Unimplemented, "there is no pause after all", "UNIMPLEMENTED");
  return broken.inner->pause(broken.inner->self, call, ref, error);
}

mos_status stats(void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *error) {
  Broken &broken = of(self);
  broken.dieIn("stats");
  const mos_status status = broken.inner->stats(broken.inner->self, call, ref, out, error);
  if (status != MOS_OK || !broken.is("no-limit")) return status;
  Json json = Json::parse(take(out));
  json["memoryLimitBytes"] = 0;
  matrixos::giveBuffer(out, json.dump());
  return status;
}

mos_status startDescribed(void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *error) {
  const mos_status status = inspect(self, call, ref, out, error);
  return status == MOS_OK ? start(self, call, ref, error) : status;
}

void Broken::fill() {
  table = *inner;
  table.self = this;
  table.create = create;
  table.start = start;
  table.stop = stop;
  table.remove = removeInstance;
  table.inspect = inspect;
  table.list = list;
  table.events = events;
  table.endpoints = endpoints;
  table.pause = pauseInstance;
  table.stats = stats;
  if (is("describes-before")) table.start_described = startDescribed;
  // The rest passes through, with the inner self.
  table.capabilities = [](void *self, const mos_call *call, mos_buf *out, mos_error *error) {
    return of(self).inner->capabilities(of(self).inner->self, call, out, error);
  };
  table.unpause = [](void *self, const mos_call *call, mos_str ref, mos_error *error) {
    return of(self).inner->unpause(of(self).inner->self, call, ref, error);
  };
}

/// Hands the inner plugin a host that is the real one, but for the table it provides.
class BrokenPlugin final : public matrixos::Plugin {
public:
  explicit BrokenPlugin(const mos_host_v1 *host)
      : services_(static_cast<const mos_host_services_v1 *>(host->get_interface(host->self, MOS_HOST_SERVICES_1))),
        log_(host) {
    broken_.fault = matrixos::Config(host).getString("fault");
    if (broken_.is("io-in-create")) leaked_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    host_ = *host;
    host_.self = this;
    host_.get_interface = [](void *self, const char *) -> const void * {
      return &static_cast<BrokenPlugin *>(self)->fake_;
    };
    fake_ = *services_;
    fake_.self = this;
    fake_.provide = [](void *self, mos_str service, mos_str, const void *table, mos_error *error) {
      auto *me = static_cast<BrokenPlugin *>(self);
      me->broken_.inner = static_cast<const mos_runtime_v1 *>(table);
      me->broken_.fill();
      if (me->broken_.is("null-function")) me->broken_.table.logs = nullptr;
      return me->services_->provide(me->services_->self, service, toAbi("broken"), &me->broken_.table, error);
    };
    fake_.withdraw = [](void *self, mos_str service, mos_str, mos_error *error) {
      auto *me = static_cast<BrokenPlugin *>(self);
      return me->services_->withdraw(me->services_->self, service, toAbi("broken"), error);
    };
    inner_.struct_size = sizeof inner_;
    matrixos::check([&](mos_error *error) { return inner_entry()->create(&host_, &inner_, error); });
  }
  ~BrokenPlugin() override {
    if (broken_.is("io-in-create") && leaked_ >= 0) ::close(leaked_);
    inner_.destroy(inner_.self);
  }

  void start() override {
    broken_.dieIn("plugin-start");
    matrixos::check([&](mos_error *error) { return inner_.start(inner_.self, error); });
    if (broken_.is("leaks-a-file")) ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  void stop() override {
    broken_.dieIn("plugin-stop");
    matrixos::check([&](mos_error *error) { return inner_.stop(inner_.self, error); });
    if (broken_.is("leaks-a-thread")) std::thread([] { std::this_thread::sleep_for(std::chrono::hours{1}); }).detach();
    if (broken_.is("calls-after-stop")) {
      // Gone before anybody counts threads for good; its call comes when the host has closed the books.
      std::thread([log = log_] {
        std::this_thread::sleep_for(std::chrono::milliseconds{150});
        log.info("still here");
      }).detach();
    }
  }

private:
  const mos_host_services_v1 *services_;
  matrixos::Log log_;
  Broken broken_;
  mos_host_v1 host_{};
  mos_host_services_v1 fake_{};
  mos_plugin_v1 inner_{};
  int leaked_ = -1;
};

constexpr mos_config_key kKeys[] = {{"fault", "string", "", nullptr, "What is wrong; empty: nothing.", 0, 0}};
constexpr mos_provide kProvides[] = {{MOS_RUNTIME_1, "broken", MOS_RUNTIME_1_MINOR, 0}};

} // namespace

MATRIXOS_PLUGIN(BrokenPlugin, matrixos::Descriptor("runtime-broken", "Broken runtime", "1.0.0")
                                  .vendor("Matrix OS")
                                  .license("MIT")
                                  .description("Breaks one rule of the contract, to order.")
                                  .provides(kProvides)
                                  .configKeys(kKeys))

/// matrixos/managed_runtime.hpp: a runtime that keeps the books, so that an author writes what is special to an engine.
///
///     class Sleeper : public matrixos::ManagedRuntime {
///     public:
///       static constexpr const char *kInstance = "sleeper";
///       explicit Sleeper(const mos_host_v1 *host) : ManagedRuntime({matrixos::stateDir(host, "sleeper")}) {}
///
///     protected:
///       matrixos::EngineInfo engine(const matrixos::Call &) override { return {"sleep", "1"}; }
///       std::string launch(const matrixos::Call &, const matrixos::Instance &instance) override {
///         return spawn({"/bin/sleep", "1d"}).text();       // a token by which it is found again
///       }
///       bool isAlive(const matrixos::Instance &instance) override { … }
///       void end(const matrixos::Call &, const matrixos::Instance &, std::chrono::milliseconds grace) override { … }
///     };
///
/// sdk/templates/runtime/ is a complete one. What the layer does, as abi/runtime.h promises it: checks specs; finds
/// instances by ref or name; adopts or refuses a taken name; answers a repeated mutation with success; one operation at
/// a time per instance, each with its deadline; the states; events, lists and label filters; volumes as directories;
/// and a record per instance on disk, by which instances are found again after a restart or a crash of the daemon.
///
/// Needs nlohmann/json (header-only). No type of it stands in this interface.
#pragma once

#include <matrixos/directory_volumes.hpp>
#include <matrixos/host.hpp>
#include <matrixos/instance_spec.hpp>
#include <matrixos/managed/book.hpp>
#include <matrixos/managed/event_hub.hpp>
#include <matrixos/managed/recovery.hpp>
#include <matrixos/managed/volume_request.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/runtime.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// What the runtime and its engine can do, for capabilities().
struct EngineInfo {
  std::string engine; ///< "process"
  std::string version;
  std::string isolation = "process"; ///< container, process or simulated
  bool publishesPorts = true;        ///< instances listen on the spec's host ports
  bool pause = false;                ///< freeze() and thaw() work
  bool stats = false;                ///< usage() works
  bool volumes = true;
  Labels notes{}; ///< further members, texts for operators
};

/// What an instance uses; 0 for what is not known.
struct Usage {
  std::int64_t cpuNanos = 0;
  std::int64_t memoryBytes = 0;
  std::int64_t memoryLimitBytes = 0;
  std::int64_t pids = 0;
  std::int64_t networkRxBytes = 0;
  std::int64_t networkTxBytes = 0;
};

/// What logs() is asked for.
struct LogOptions {
  std::int64_t tail = -1; ///< the last lines only; -1: all
  bool follow = false;    ///< go on with what is written from now on
};

/// Receives a line of output; answers false to stop.
using LineFn = std::function<bool(std::string_view stream, std::int64_t timeMs, std::string_view line)>;

struct ManagedOptions {
  std::string stateDir;                            ///< for the records; of this runtime alone
  std::chrono::milliseconds checkInterval{1000};   ///< how often isAlive() is asked of all that run
  std::function<void(const std::string &)> warn{}; ///< told what an operator should know; may be empty
  DirectoryVolumes::Options volumes{};
};

/// Base of a runtime with one engine that is local or far. Override the protected functions; construct cheaply. open()
/// reads the records, close() ends the watch over running instances, which go on running: RuntimePlugin calls both.
///
/// The author's functions are called concurrently for different instances, and one at a time per instance except for
/// isAlive(), endpointsOf(), usage(), tend() and readLogs(), which may be called at any time. No lock is held
/// meanwhile. They throw matrixos::Error; blocking ones watch the call's deadline and cancellation.
class ManagedRuntime : public Runtime {
public:
  explicit ManagedRuntime(ManagedOptions options) : options_(std::move(options)), volumes_(options_.volumes) {}
  ~ManagedRuntime() override { close(); }

  /// The configuration's live keys (MOS_KEY_LIVE): called before open(), and after each reload that changed one, while
  /// other functions run. What it throws is shown to the operator. An author overrides it.
  virtual void reconfigure(const Config & /*config*/) {}
  /// Reads the records and, unless the engine is away, looks for what still runs. Throws when the state folder cannot
  /// be used.
  void open();
  /// Ends streams with UNAVAILABLE; other calls still work.
  void shutdown() {
    stopping_ = true;
    hub_.shutdown();
  }
  /// Stops watching, gives the state folder up. Before the derived class is destroyed; again is fine.
  void close() noexcept;

  std::string capabilities(const Call &call) final;
  std::string pull(const Call &call, std::string_view requestJson, const ItemFn &progress) final;
  std::string create(const Call &call, std::string_view specJson) final;
  void start(const Call &call, std::string_view ref) final;
  void stop(const Call &call, std::string_view ref, std::chrono::milliseconds grace) final;
  void remove(const Call &call, std::string_view ref, std::uint32_t flags) final;
  std::string inspect(const Call &call, std::string_view ref) final;
  void list(const Call &call, std::string_view labelsJson, const ItemFn &item) final;
  void logs(const Call &call, std::string_view ref, std::string_view optionsJson, const ItemFn &line) final;
  std::string stats(const Call &call, std::string_view ref) final;
  void pause(const Call &call, std::string_view ref) final;
  void unpause(const Call &call, std::string_view ref) final;
  void events(const Call &call, std::string_view labelsJson, const ItemFn &item) final;
  std::string volumeEnsure(const Call &call, std::string_view requestJson) final;
  void volumeTrash(const Call &call, std::string_view volume, std::string_view as) final;
  void volumeSnapshot(const Call &call, std::string_view volume, std::string_view as) final;
  std::string endpoints(const Call &call, std::string_view ref) final;
  void volumeRemoveIfEmpty(const Call &call, std::string_view volume) final;

protected:
  // ---- what an author writes

  /// Throws Error(Unavailable) while the engine cannot be reached, with what to do about it.
  virtual EngineInfo engine(const Call &call) = 0;
  /// The engine is there: after the start, and again after engine() said that it was away. Until it has returned
  /// nothing is looked for, started or ended; a failure is that of whatever waits for it, and it is called again.
  /// `known`: all on record, also what a crash left half created or half started. Here is the place to log in again, to
  /// take up by its token what still runs, and to throw away what belongs to none of `known`.
  virtual void recover(const Call & /*call*/, const std::vector<Instance> & /*known*/) {}
  /// Starts it, returns once it runs. The token, any text, is how it is found again after a restart; a start that
  /// fails leaves nothing behind. Where a crash between the start and the return must not lose it: keepToken().
  virtual std::string launch(const Call &call, const Instance &instance) = 0;
  /// Whether what launch() started, known by instance.token, still runs (frozen counts). Cheap.
  virtual bool isAlive(const Instance &instance) = 0;
  /// Asks it to end, kills it after `grace`; returns once it is gone. Gone already is fine.
  virtual void end(const Call &call, const Instance &instance, std::chrono::milliseconds grace) = 0;
  /// How it ended; asked once per run, after isAlive() said no or end() returned.
  virtual Exit exitOf(const Instance & /*instance*/) { return {}; }
  /// A descriptor that becomes readable when the instance dies, so that nobody has to ask; it passes to the caller. -1:
  /// there is none, isAlive() is asked every checkInterval.
  virtual int deathFd(const Instance & /*instance*/) { return -1; }
  /// Where it can be reached, best first, while it runs. Default: the spec's host ports.
  virtual std::vector<Endpoint> endpointsOf(const Instance &instance) { return hostEndpoints(instance); }
  /// create(): refuse here what could never start.
  virtual void prepare(const Call & /*call*/, const Instance & /*instance*/) {}
  /// remove(): what belongs to the instance beside its volumes goes. Also after a prepare() that failed. Repeatable.
  virtual void discard(const Call & /*call*/, const Instance & /*instance*/) {}
  virtual void freeze(const Call & /*call*/, const Instance & /*instance*/) { throw unimplemented("pause"); }
  virtual void thaw(const Call & /*call*/, const Instance & /*instance*/) { throw unimplemented("pause"); }
  virtual Usage usage(const Call & /*call*/, const Instance & /*instance*/) { throw unimplemented("stats"); }
  virtual void readLogs(const Call & /*call*/, const Instance & /*instance*/, const LogOptions & /*options*/,
                        const LineFn & /*line*/) {
    throw unimplemented("logs");
  }
  /// Housekeeping, about every checkInterval for each instance that runs, such as turning its log over.
  virtual void tend(const Instance & /*instance*/) {}
  /// Makes an image present; its digest. `policy`: missing, always or never. Default: there are no images.
  virtual std::string pullImage(const Call & /*call*/, const std::string & /*image*/, const std::string & /*policy*/,
                                const ItemFn & /*progress*/) {
    return {};
  }

  // ---- what an author may use

  /// Writes the token to disk before launch() returns: call it once the token is known and before anything runs.
  void keepToken(const Instance &instance, const std::string &token);
  /// True from shutdown() on: streams of the author's own end.
  bool stopping() const noexcept { return stopping_; }
  /// The spec's host ports as endpoints of scope "host".
  static std::vector<Endpoint> hostEndpoints(const Instance &instance);
  void warn(const std::string &text) const {
    if (options_.warn) options_.warn(text);
  }

private:
  using Turn = managed::Book::Turn;
  using InstancePtr = managed::InstancePtr;

  void readBack(const std::string &key, const std::string &text);
  EngineInfo ask(const Call &call);
  void begin(const Call &call);
  void settle(const std::string &ref);
  void watch();
  void checkOne(const std::string &ref) noexcept;
  void watchDeath(const Instance &instance);
  InstancePtr current(Turn &turn);
  InstancePtr look(const Call &call, std::string_view ref);
  void keep(Turn &turn, const InstancePtr &instance);
  void noteDeath(Turn &turn);
  void tell(const char *type, const Instance &instance);
  std::string lastWords(const Instance &instance);
  static std::string adopt(const Instance &holder, const InstanceSpec &wanted);
  static void claimPorts(Turn &turn, const InstancePtr &next);
  void takeBack(Turn &turn, const Instance &before, const char *why);
  void thawHeld(const Call &call, Turn &turn);
  void endHeld(const Call &call, Turn &turn, std::chrono::milliseconds grace);
  static void requireUp(const Instance &instance);
  managed::Json describe(const Instance &instance);
  std::vector<std::uint16_t> occupiedPorts(const Instance &instance) const;
  managed::Json endpointsJson(const Instance &instance);
  void checkVolume(const Call &call, const std::string &volume);

  ManagedOptions options_;
  DirectoryVolumes volumes_;
  std::unique_ptr<managed::RecordStore> records_;
  managed::Book book_;
  managed::EventHub hub_;
  managed::DeathWatch deaths_;
  managed::Recovery recovery_;
  std::atomic<bool> open_{false};
  std::atomic<bool> stopping_{false};
  std::thread watcher_;
};

/// A folder for the records of the plugin `id`, below the platform's data directory.
inline std::string stateDir(const mos_host_v1 *host, const std::string &id) {
  return managed::text(managed::parseObject(Platform(host).info()), "dataDir") + "/" + id;
}

/// A plugin that is one runtime: MATRIXOS_PLUGIN(matrixos::RuntimePlugin<Sleeper>, …). `Class` derives from
/// ManagedRuntime, is made from the host and names its service's instance in kInstance. Instances outlive the plugin.
template <typename Class>
class RuntimePlugin : public Plugin {
public:
  explicit RuntimePlugin(const mos_host_v1 *host) : host_(host), config_(host), services_(host) {}
  ~RuntimePlugin() override {
    if (runtime_) runtime_->close();
  }

  void start() override {
    runtime_ = std::make_unique<Class>(host_);
    reconfigure();
    runtime_->open();
    services_.provide(MOS_RUNTIME_1, Class::kInstance, runtime_->table());
  }
  void reconfigure() override {
    ManagedRuntime &runtime = *runtime_; // the author's own may be protected
    runtime.reconfigure(config_);
  }
  void stop() override {
    if (!runtime_) return;
    runtime_->shutdown();
    services_.withdraw(MOS_RUNTIME_1, Class::kInstance); // waits for the calls in the table
    runtime_->close();
  }

private:
  const mos_host_v1 *host_;
  Config config_;
  Services services_;
  std::unique_ptr<Class> runtime_; ///< stays after stop(): its table is promised until destroy()
};

} // namespace v1
} // namespace matrixos

#include <matrixos/managed/managed_runtime_impl.hpp>
#include <matrixos/managed/managed_runtime_life.hpp>

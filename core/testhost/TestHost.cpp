#include "testhost/TestHost.h"

#include "common/ServiceDescription.h"
#include "common/SystemError.h"
#include "config/InEffect.h"
#include "plugin/PluginFaults.h"

#include <matrixos/host/services.hpp>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

namespace matrixos::testhost {

namespace fs = std::filesystem;

namespace {

/// The id of the test among the plugins.
constexpr const char *kOwnId = "the-test";
constexpr plugin::PluginTimeouts kTimeouts{std::chrono::seconds{10}, std::chrono::seconds{10}};
/// For timers that come due while time goes on.
constexpr std::chrono::seconds kTimerPatience{30};
/// Of the folder for temporary files: sockets below it have paths of 107 bytes at most.
constexpr std::size_t kLongestBase = 64;

std::atomic<bool> taken{false};

Error notRunning() {
  return Error(Status::FailedPrecondition, "nothing runs: start() comes first", "NOT_STARTED");
}

std::string cellOf(const storage::Column &column) {
  if (column.type == MOS_SQL_INT) return std::to_string(column.integer);
  if (column.type == MOS_SQL_REAL) return std::to_string(column.real);
  return column.type == MOS_SQL_NULL ? "" : std::string(column.text);
}

} // namespace

TestFolder::TestFolder() {
  const char *wanted = std::getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
  const std::string base =
      wanted != nullptr && *wanted != '\0' && std::strlen(wanted) <= kLongestBase ? wanted : "/tmp";
  std::string name = base + "/matrixos-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) common::throwErrno(errno, "making a folder in " + base);
  path_ = name;
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

struct TestHost::Life {
  Life(Platform::Options options, Footprint from) : before(std::move(from)), platform(std::move(options)) {}

  const Footprint before;
  Platform platform;
  std::unique_ptr<plugin::PluginHost> plugins;
  plugin::ServiceConsumer consumer{std::string(kOwnId) + "#0", std::make_shared<plugin::CallGate>(),
                                   plugin::PluginScope::tagOf(kOwnId)};
  std::map<const void *, int> held; ///< tables that the test acquired. Under mutex_ of the host
};

OnlyOne::OnlyOne() {
  if (taken.exchange(true))
    throw Error(Status::FailedPrecondition, "there is another test host in this process; one at a time", "HOST_TAKEN");
}

OnlyOne::~OnlyOne() {
  taken = false;
}

TestHost::TestHost() : log_(folder_.path() / "log"), files_(folder_.path() / "run/copies") {
  fs::create_directory(folder() / "plugins");
  plugin::PluginFaults::instance().observe([this](const std::string &id, plugin::PluginFault fault) {
    const std::lock_guard lock(mutex_);
    faults_ += id + ": " + plugin::faultName(fault) + "\n";
  });
}

TestHost::~TestHost() {
  end();
  plugin::PluginFaults::instance().observe({});
}

void TestHost::addPlugin(const fs::path &file) {
  if (life_) throw Error(Status::FailedPrecondition, "plugins are added before start()");
  const std::string id = file.stem().string();
  if (file.extension() != ".so" || !plugin::isPluginId(id) || id == kOwnId)
    throw Error(Status::InvalidArgument, file.string() + " is no file of a plugin, which is called ID.so");
  // The test's own copy: whoever may write to the folder of a build could not be trusted with a daemon's plugins.
  const fs::path copy = folder() / "plugins" / file.filename();
  std::error_code error;
  if (!fs::copy_file(file, copy, error))
    throw Error(Status::NotFound, file.string() + " cannot be copied: " + error.message(), "PLUGIN_FILE");
  fs::permissions(copy, fs::perms::owner_read | fs::perms::owner_write);
  ids_.push_back(id);
}

void TestHost::set(const std::string &name, const std::string &value) {
  const bool isShort = name.find('.') == std::string::npos;
  if (isShort && ids_.empty()) throw Error(Status::InvalidArgument, "\"" + name + "\" of which plugin?");
  sets_.push_back((isShort ? ids_.front() + "." : "") + name + "=" + value);
}

TestHost::Fake *TestHost::findFake(const std::string &service, const std::string &instance) {
  const auto at = std::find_if(fakes_.begin(), fakes_.end(),
                               [&](const Fake &fake) { return fake.service == service && fake.instance == instance; });
  return at == fakes_.end() ? nullptr : &*at;
}

void TestHost::provide(const std::string &service, const std::string &instance, std::uint32_t minor,
                       const void *table) {
  Fake *fake = findFake(service, instance);
  if (fake == nullptr && life_)
    throw Error(Status::FailedPrecondition, service + " has to be provided before start() for the first time");
  if (fake == nullptr) fake = &fakes_.emplace_back(Fake{service, instance, minor, nullptr});
  if (own_ != nullptr) offer({service, instance, minor, table});
  fake->table = table;
}

void TestHost::withdraw(const std::string &service, const std::string &instance) {
  Fake *fake = findFake(service, instance);
  if (fake == nullptr || fake->table == nullptr) throw Error(Status::NotFound, "the test does not provide " + service);
  if (own_ != nullptr && !Services(own_).withdraw(service, instance))
    throw Error(Status::DeadlineExceeded, "calls are still inside " + service, "CALLS_INSIDE");
  fake->table = nullptr;
}

void TestHost::offer(const Fake &fake) const {
  Services(own_).provide(fake.service, fake.instance, fake.table);
}

plugin::DiscoveredPlugin TestHost::ownPlugin() {
  plugin::DiscoveredPlugin own;
  own.id = kOwnId;
  plugin::Manifest manifest;
  manifest.id = own.id;
  manifest.name = "The test";
  manifest.version = "1.0.0";
  for (const Fake &fake : fakes_)
    manifest.provides.push_back({fake.service, fake.instance, fake.minor, fake.instance});
  manifest.create = [this](const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *) -> mos_status {
    own_ = host;
    plugin->self = this;
    plugin->start = [](void *self, mos_error *error) {
      return guarded(error, [&] {
        const auto &test = *static_cast<TestHost *>(self);
        for (const Fake &fake : test.fakes_)
          if (fake.table != nullptr) test.offer(fake);
      });
    };
    plugin->stop = [](void *self, mos_error *) -> mos_status {
      static_cast<TestHost *>(self)->own_ = nullptr;
      return MOS_OK;
    };
    return MOS_OK;
  };
  own.manifest = std::move(manifest);
  return own;
}

std::vector<plugin::DiscoveredPlugin> TestHost::discover() {
  std::vector<plugin::DiscoveredPlugin> found;
  for (const std::string &id : ids_) {
    // Anew: as after a start of the daemon, nothing is left in its static variables.
    found.push_back(plugin::discoverPlugin(folder() / "plugins", id, files_, true));
    if (!found.back().manifest) throw Error(Status::FailedPrecondition, found.back().error, "PLUGIN_FILE");
  }
  if (!fakes_.empty()) found.push_back(ownPlugin());
  return found;
}

void TestHost::start() {
  if (life_) throw Error(Status::FailedPrecondition, "it has been started");
  auto found = discover();
  Platform::Options options{folder(), common::Timers::ManualTime{advanced_}, installId_};
  auto life = std::make_unique<Life>(std::move(options), Footprint::now());
  Platform &platform = life->platform;
  platform.setConfig(platform.configurationOf(found, sets_));
  {
    const std::lock_guard lock(mutex_);
    events_.clear();
  }
  platform.events.subscribe(common::kCoreOwner, "", [this](std::string_view topic, std::string_view json) {
    const std::lock_guard lock(mutex_);
    events_.emplace_back(topic, json);
  });
  plugin::PluginHost::Options host{folder() / "plugins", {ids_.begin(), ids_.end()}, kTimeouts};
  if (!fakes_.empty()) host.required.insert(kOwnId);
  life->plugins = std::make_unique<plugin::PluginHost>(platform.core, host, std::move(found));
  life_ = std::move(life);
  try {
    life_->plugins->startAll([] { return false; });
    platform.identities->refresh();
    platform.audit->refresh(MOS_AUDIT_1);
  } catch (...) {
    end();
    throw;
  }
}

void TestHost::stop() {
  const std::string left = end();
  if (!left.empty()) throw Error(Status::FailedPrecondition, left, "LEFT_BEHIND");
}

std::string TestHost::end() {
  if (!life_) return {};
  std::string problems;
  const auto add = [&](const std::string &what) { problems += (problems.empty() ? "" : "; ") + what; };
  Platform &platform = life_->platform;
  for (const auto &[table, times] : life_->held) {
    for (int i = 0; i < times; ++i)
      platform.services.release(life_->consumer.plugin, table);
  }
  platform.services.sweepConsumer(life_->consumer.plugin);
  life_->plugins->stopAll();
  for (const plugin::PluginReport &report : life_->plugins->reports()) {
    if (!report.reason.empty()) add(report.manifest.id + ": " + report.reason);
  }
  for (auto &proxy : platform.services.forgetConsumer(life_->consumer.plugin))
    stale_.push_back(std::move(proxy));
  life_->plugins.reset();
  const Footprint before = life_->before;
  life_.reset();
  own_ = nullptr;
  if (const std::string more = Footprint::addedSince(before); !more.empty()) add("it left behind " + more);
  return problems;
}

void TestHost::reconfigure() {
  Platform &platform = this->platform();
  const config::ConfigPtr before = platform.config();
  const config::ConfigPtr wanted = platform.configurationOf(life_->plugins->loaded(), sets_);
  const std::set<std::string> running(ids_.begin(), ids_.end());
  const config::ConfigPtr next = config::takeOver(*before, *wanted, running);
  platform.setConfig(next);
  std::set<std::string> touched;
  for (const config::KeyChange &change : config::diff(*before, *next))
    touched.insert(change.section);
  std::string refusals;
  for (const auto &[id, why] : life_->plugins->reconfigure(touched)) {
    platform.setConfig(config::withSection(*platform.config(), id, *before));
    refusals.append(refusals.empty() ? "" : "; ").append(id).append(": ").append(why);
  }
  if (!refusals.empty()) throw Error(Status::InvalidArgument, refusals, "CONFIG_REFUSED");
}

Platform &TestHost::platform() const {
  if (!life_) throw notRunning();
  return life_->platform;
}

http::ClientResponse TestHost::request(Who who, const http::ClientRequest &request) {
  const Platform &platform = this->platform();
  const fs::path socket = who == Who::Operator ? platform.adminSocket() : platform.apiSocket();
  return client_.send(Call(nullptr), http::BaseUrl::unixSocket(socket.string()), request);
}

const void *TestHost::acquire(const std::string &service, const std::string &instance) {
  const void *table = platform().services.acquire(life_->consumer, service, instance);
  const std::lock_guard lock(mutex_);
  ++life_->held[table];
  return table;
}

void TestHost::release(const void *table) {
  if (!life_) return; // it ended with the life
  {
    const std::lock_guard lock(mutex_);
    const auto held = life_->held.find(table);
    if (held == life_->held.end()) return;
    if (--held->second == 0) life_->held.erase(held);
  }
  life_->platform.services.release(life_->consumer.plugin, table);
}

void TestHost::advance(std::chrono::milliseconds by) {
  if (!platform().timers.advance(by, kTimerPatience))
    throw Error(Status::DeadlineExceeded, "a timer's callback does not return", "TIMER_STUCK");
  advanced_ += by;
}

std::vector<TestHost::Event> TestHost::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::string TestHost::faults() const {
  const std::lock_guard lock(mutex_);
  return faults_;
}

std::string TestHost::stateOf(const std::string &plugin) const {
  if (!life_) throw notRunning();
  for (const plugin::PluginReport &report : life_->plugins->reports()) {
    if (report.manifest.id != plugin) continue;
    return std::string(plugin::stateName(report.state)) + (report.reason.empty() ? "" : ": " + report.reason);
  }
  throw Error(Status::NotFound, "there is no plugin \"" + plugin + "\" in this test");
}

std::string TestHost::rows(const std::string &sql) {
  std::string text;
  platform().database.query(sql, {}, [&](const storage::Row &row) {
    for (std::size_t i = 0; i < row.size(); ++i)
      text += (i == 0 ? "" : "|") + cellOf(row[i]);
    text += '\n';
    return true;
  });
  return text;
}

} // namespace matrixos::testhost

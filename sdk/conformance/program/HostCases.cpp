#include "HostCases.h"

#include "../CaseSession.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <thread>

namespace matrixos::conformance {

namespace {

namespace fs = std::filesystem;

constexpr const char *kStop =
    "plugin.h: after stop() returns the plugin calls nothing of the host and has no thread left";

std::size_t entriesOf(const char *folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator{}));
}
std::size_t threads() {
  return entriesOf("/proc/self/task");
}
std::size_t descriptors() {
  return entriesOf("/proc/self/fd");
}

/// What the cases of this file know.
struct Bench {
  const Settings &settings;
  const LoadedPlugin &plugin;
  HostWork &work;

  std::unique_ptr<PluginLife> life() const {
    return std::make_unique<PluginLife>(plugin, work, settings.config, settings.facts());
  }
};

/// Waits a while for a count to come down to `wanted`: a thread that ends takes a moment to leave /proc.
std::size_t settled(const std::function<std::size_t()> &count, std::size_t wanted) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  std::size_t now = count();
  while (now > wanted && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
    now = count();
  }
  return now;
}

void exports(CaseSession &t, const Bench &bench) {
  std::string others;
  for (const std::string &name : bench.plugin.exports()) {
    if (name != MOS_ENTRY_NAME) others += (others.empty() ? "" : ", ") + name;
  }
  t.expect(others.empty(), "no exported symbol but " MOS_ENTRY_NAME, others);
}

/// Whether `text` is [a-z][a-z0-9-]*.
bool isPluginId(std::string_view text) {
  const auto isLower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && isLower(text.front()) && std::all_of(text.begin(), text.end(), [&](char c) {
    return isLower(c) || (c >= '0' && c <= '9') || c == '-';
  });
}

/// Whether `text` is three numbers with dots between them, followed by nothing or by a suffix that begins with - or +.
bool isSemanticVersion(std::string_view text) {
  for (int part = 0; part < 3; ++part) {
    if (part > 0) {
      if (text.empty() || text.front() != '.') return false;
      text.remove_prefix(1);
    }
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0) return false;
    text.remove_prefix(digits);
  }
  return text.empty() || ((text.front() == '-' || text.front() == '+') && text.find_first_of("\r\n") == text.npos);
}

void descriptor(CaseSession &t, const Bench &bench) {
  const mos_descriptor_v1 &d = bench.plugin.descriptor();
  const std::string id = d.id;
  t.expect(isPluginId(id), "an id of the form [a-z][a-z0-9-]*", id);
  t.expect(bench.plugin.file().filename() == id + ".so", "the file's name is the id: " + id + ".so",
           bench.plugin.file().filename());
  for (const auto &[what, text] : {std::pair{"name", d.name},
                                   {"version", d.version},
                                   {"vendor", d.vendor},
                                   {"license", d.license},
                                   {"description", d.description}})
    t.expect(text != nullptr && *text != '\0', std::string("a text in ") + what, "nothing");
  t.expect(isSemanticVersion(d.version), "a semantic version", d.version);
  t.expect(d.min_host_minor <= MOS_HOST_MINOR, "a min_host_minor of today", std::to_string(d.min_host_minor));
  bool provides = false;
  for (std::uint32_t i = 0; i < d.provides_count; ++i)
    provides = provides || std::string(d.provides[i].service) == MOS_RUNTIME_1;
  t.expect(provides, MOS_RUNTIME_1 " among what it provides", "it is not");
  static const std::set<std::string> kTypes{"string", "int",  "number", "bool", "duration", "size",    "list", "path",
                                            "listen", "enum", "url",    "urls", "domain",   "pattern", "rate"};
  for (std::uint32_t i = 0; i < d.config_keys_count; ++i) {
    const mos_config_key &key = d.config_keys[i];
    t.expect(kTypes.count(key.type) == 1, std::string("a known type of the key ") + key.key, key.type);
    t.expect(key.help != nullptr && *key.help != '\0', std::string("a sentence about the key ") + key.key, "nothing");
  }
  bench.life(); // reads the defaults, and says which is none of its type
}

void createIsCheap(CaseSession &t, const Bench &bench) {
  bench.life()->create(); // once before, for what a library opens at its first use
  const auto life = bench.life();
  const std::size_t threadsBefore = threads();
  const std::size_t descriptorsBefore = descriptors();
  life->create();
  t.expect(threads() == threadsBefore, "no thread of create()", std::to_string(threads() - threadsBefore) + " more");
  t.expect(descriptors() == descriptorsBefore, "no open file of create()",
           std::to_string(descriptors() - descriptorsBefore) + " more");
}

void provides(CaseSession &t, const Bench &bench) {
  const auto life = bench.life();
  life->create();
  t.expect(life->host().provided().empty(), "no service before start()", joined(life->host().provided()));
  life->start();
  const mos_runtime_v1 *table = life->runtime(bench.settings.instance);
  constexpr std::size_t kMinorZero = offsetof(mos_runtime_v1, start_described);
  t.expect(table->struct_size >= kMinorZero, "struct_size of at least " + std::to_string(kMinorZero),
           std::to_string(table->struct_size), "base.h: a growing struct starts with struct_size");
  // What a runtime does not have answers UNIMPLEMENTED; NULL would crash a caller, who looks only at later minors.
#define EXPECT_FUNCTION(n, Table, name, letters, flags, minor, types)                                                  \
  t.expect((minor) > 0 || table->name != nullptr, "a function " #name "() in the table", "NULL", "runtime.h: " #Table);
  MOS_FUNCTIONS_OF_RUNTIME_1(EXPECT_FUNCTION)
#undef EXPECT_FUNCTION
}

void stopLeavesNothing(CaseSession &t, const Bench &bench) {
  const std::size_t before = threads();
  const auto life = bench.life();
  life->create();
  life->start();
  CheckedRuntime runtime(life->runtime(bench.settings.instance));
  runtime.capabilities(t.how());
  runtime.list("{}", {}, t.how());
  life->stop();
  const std::size_t after = settled(threads, before);
  t.expect(after <= before, "as many threads after stop() as before create(): " + std::to_string(before),
           std::to_string(after), kStop);
  // Long enough for a timer or a thread that was forgotten to call; nothing is waited for that would come.
  std::this_thread::sleep_for(std::chrono::milliseconds{300});
  t.expect(life->host().lateCalls().empty(), "no call of the host after stop()", joined(life->host().lateCalls()),
           kStop);
  life->destroy();
  t.expect(life->host().lateCalls().empty(), "no call of the host in destroy()", joined(life->host().lateCalls()),
           kStop);
}

/// Instances that run, a stream that is open: stop() comes in the middle of it.
void stopEndsCalls(CaseSession &t, const Bench &bench) {
  const auto life = bench.life();
  life->create();
  life->start();
  const auto runtime = std::make_shared<CheckedRuntime>(life->runtime(bench.settings.instance));
  const auto events = t.async([runtime](CheckedRuntime &, How how) {
    how.timeout = std::chrono::minutes{10};
    return runtime->events("{}", {}, how);
  });
  if (events->wait(std::chrono::milliseconds{300})) t.skip("events() does not block: " + events->answer().text());
  life->host().drainWith([events] { events->wait(std::chrono::seconds{10}); });
  const auto stopping = t.async([&life](CheckedRuntime &, const How &) {
    life->stop();
    return Answer{};
  });
  // A host cancels what is open at the same moment; a runtime need not find out by itself.
  events->cancel()->trigger();
  t.await(stopping, std::chrono::seconds{10}, "stop() while events() is open");
  t.await(events, std::chrono::seconds{5}, "events() when the plugin stops");
}

void cycles(CaseSession &t, const Bench &bench) {
  const auto cycle = [&] {
    const auto life = bench.life();
    life->create();
    life->start();
    CheckedRuntime runtime(life->runtime(bench.settings.instance));
    runtime.capabilities(t.how());
    life->stop();
  };
  for (int i = 0; i < 3; ++i)
    cycle();
  const std::size_t descriptorsBefore = descriptors();
  const std::size_t threadsBefore = threads();
  // As many as an engine that is slow to answer leaves time for; one leak a life shows after a few.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  int lives = 0;
  for (; lives < 20 && (lives < 3 || std::chrono::steady_clock::now() < end); ++lives)
    cycle();
  t.expect(settled(descriptors, descriptorsBefore) <= descriptorsBefore,
           "as many open files after " + std::to_string(lives) +
               " lives as before: " + std::to_string(descriptorsBefore),
           std::to_string(descriptors()));
  t.expect(settled(threads, threadsBefore) <= threadsBefore,
           "as many threads after " + std::to_string(lives) + " lives as before: " + std::to_string(threadsBefore),
           std::to_string(threads()));
}

void startFails(CaseSession &t, const Bench &bench) {
  const auto life = bench.life();
  life->create();
  life->destroy(); // without start(): what a host does when another plugin that was needed has failed
  t.expect(life->host().lateCalls().empty(), "no call of the host in destroy()", joined(life->host().lateCalls()));
}

} // namespace

std::vector<Case> hostCases(const Settings &settings, const LoadedPlugin *plugin, HostWork *work) {
  std::vector<Case> list;
  const auto add = [&](const char *id, const char *title, const char *rule, void (*run)(CaseSession &, const Bench &)) {
    list.push_back({id, title, rule, false, [&settings, plugin, work, run](CaseSession &t) {
                      run(t, Bench{settings, *plugin, *work});
                    }});
  };
  add("host.exports", "the file exports the entry function alone", "plugin.h: exports mos_plugin_entry_v1 alone",
      exports);
  add("host.descriptor", "the descriptor is complete and its defaults are valid", "plugin.h: mos_descriptor_v1",
      descriptor);
  add("host.create-cheap", "create() starts no thread and opens no file",
      "plugin.h create: makes the plugin; cheap, no I/O", createIsCheap);
  add("host.provides", "start() provides the runtime, with a function in every slot", "host.h services.provide",
      provides);
  add("host.destroy-unstarted", "a plugin that was created is destroyed without a start", "plugin.h: life", startFails);
  add("host.stop", "stop() leaves no thread, and the host is left alone afterwards", kStop, stopLeavesNothing);
  add("host.stop-while-busy", "stop() comes back while events() is open",
      "plugin.h stop: drains, withdraws, joins its threads", stopEndsCalls);
  add("host.cycles", "many lives in one process leave files and threads flat",
      "plugin.h: a plugin that was stopped may be created again in the same process", cycles);
  return list;
}

} // namespace matrixos::conformance

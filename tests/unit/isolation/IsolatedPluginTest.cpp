// An isolated plugin as the host sees it, with the real program and real plugins behind it.
#include "Isolated.h"
#include "isolation/PluginDescription.h"
#include "support/Errors.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <matrixos/call.hpp>
#include <matrixos/json.hpp>
#include <matrixos/runtime.hpp>

#include <dirent.h>
#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

using namespace matrixos;
using namespace matrixos::isolation;
using namespace matrixos::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::size_t openFds() {
  std::size_t count = 0;
  DIR *folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr)
    ++count;
  ::closedir(folder);
  return count;
}

} // namespace

TEST_CASE("calls, errors, streams and what the plugin asks of its host pass the border") {
  Isolated plugin(settingsFor("fake-isolated"));
  plugin.start();
  const RuntimeClient runtime = plugin.runtime();

  SUBCASE("texts, ids and answers") {
    const CallScope call(seconds{30}, "op-1", "trace-1");
    const auto answer = json::parseObject(runtime.inspect(call.abi(), "some ref ä"));
    CHECK(json::getString(*answer, "ref") == "some ref ä");
    CHECK(json::getString(*answer, "operation") == "op-1");
    CHECK(json::getString(*answer, "trace") == "trace-1");
    CHECK(json::getInt(*answer, "pid", 0) != ::getpid());
    CHECK(runtime.inspect(call.abi(), "big:3000000").size() == 3'000'000);
    runtime.start(call.abi(), "r");
    CHECK(contains(runtime.startDescribed(call.abi(), "r"), "op-1"));
    runtime.stop(call.abi(), "r", seconds{1});
    runtime.remove(call.abi(), "r", MOS_REMOVE_FORCE);
    // Without a context at all.
    CHECK(contains(runtime.inspect(nullptr, "none"), "none"));
  }
  SUBCASE("an error with all its fields") {
    const CallScope call(seconds{30});
    const Error error = errorOf([&] { runtime.start(call.abi(), "throw"); });
    CHECK(error.status() == Status::Aborted);
    CHECK(error.reason() == "PORT_IN_USE");
    CHECK(error.retryAfterMs() == 1234);
    CHECK(error.what() == std::string("it went wrong on purpose, ä"));
    CHECK(errorOf([&] { runtime.stats(call.abi(), "r"); }).status() == Status::Unimplemented);
    CHECK(errorOf([&] { runtime.startDescribed(call.abi(), "throw"); }).reason() == "PORT_IN_USE");
    CHECK(errorOf([&] { runtime.volumeRemoveIfEmpty(call.abi(), "v"); }).status() == Status::Unimplemented);
  }
  SUBCASE("what is too large is an error, not the end") {
    const CallScope call(seconds{30});
    CHECK(errorOf([&] { runtime.inspect(call.abi(), std::string(5'000'000, 'r')); }).status() ==
          Status::InvalidArgument);
    CHECK(errorOf([&] { runtime.inspect(call.abi(), "big:5000000"); }).status() == Status::ResourceExhausted);
    CHECK(plugin.pid() > 0);
  }
  SUBCASE("a long list in order, with a slow reader") {
    const CallScope call(seconds{60});
    int next = 0;
    bool inOrder = true;
    runtime.list(call.abi(), "20000", [&](std::string_view item) {
      inOrder = inOrder && item == R"({"number":)" + std::to_string(next) + "}";
      if (++next == 3) std::this_thread::sleep_for(milliseconds{50});
      return true;
    });
    CHECK(inOrder);
    CHECK(next == 20000);
  }
  SUBCASE("a sink that has had enough") {
    const CallScope call(seconds{60});
    int seen = 0;
    runtime.list(call.abi(), "20000", [&](std::string_view) { return ++seen < 5; });
    CHECK(seen == 5);
    // Also while nothing comes any more.
    seen = 0;
    runtime.events(call.abi(), "{}", [&](std::string_view) { return ++seen < 1; });
    CHECK(seen == 1);
    CHECK(errorOf([&] { runtime.pull(call.abi(), "{}", [](std::string_view) { return false; }); }).status() ==
          Status::Cancelled);
  }
  SUBCASE("cancelled and past the deadline") {
    CallScope call(seconds{60});
    std::atomic<bool> inside{false};
    std::thread canceller([&] {
      eventually([&] { return inside.load(); });
      call.cancel();
    });
    const Error cancelled =
        errorOf([&] { runtime.events(call.abi(), "{}", [&](std::string_view) { return inside = true, true; }); });
    canceller.join();
    CHECK(cancelled.status() == Status::Cancelled);
    const CallScope brief(milliseconds{50});
    CHECK(errorOf([&] { runtime.inspect(brief.abi(), "slow:60000"); }).status() == Status::DeadlineExceeded);
  }
  SUBCASE("log, metrics, platform, configuration") {
    CHECK(eventually([&] { return contains(plugin.host.log(), "fake runtime started"); }));
    CHECK(plugin.host.lines("fake runtime started").front().types.at("pid") == MOS_FIELD_INT);
    // The plugin's own timer counts on.
    CHECK(eventually([&] { return plugin.host.metric("matrixos_fake_starts_total") > 3; }));
    plugin.host.set("word", "told so");
    plugin.reconfigure();
    CHECK(plugin.host.degraded() == "told so");
    plugin.stop();
    CHECK(contains(plugin.host.log(), "fake runtime stopped"));
  }
  SUBCASE("many at a time") {
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 100; ++i) {
          const CallScope call(seconds{60});
          const std::string ref = std::to_string(t) + "-" + std::to_string(i);
          if (contains(runtime.inspect(call.abi(), ref), '"' + ref + '"')) ++good;
        }
      });
    }
    for (auto &thread : threads)
      thread.join();
    CHECK(good == 1600);
  }
}

TEST_CASE("a crash in a call: the call is made again, and the operator is told where it happened") {
  const TempDir dir;
  Isolated plugin(settingsFor("fake-isolated"));
  plugin.start();
  const pid_t before = plugin.pid();
  const CallScope call(seconds{60}, "op-1");

  const auto answer = json::parseObject(plugin.runtime().inspect(call.abi(), "crash-once:" + (dir / "a").string()));
  CHECK(json::getInt(*answer, "pid", 0) != before);
  CHECK(contains(plugin.host.log(), "the plugin's process died with SIGSEGV in inspect()"));
  CHECK(contains(plugin.host.everDegraded(), "its process died with SIGSEGV in inspect(), restarting in "));
  CHECK(plugin.host.degraded().empty());
  CHECK(plugin.host.metric("matrixos_plugin_process_restarts_total") == 1);
  CHECK(plugin.host.metric("matrixos_plugin_calls_repeated_total") == 1);

  // A mutation by its operation id.
  plugin.runtime().start(call.abi(), "crash-once:" + (dir / "b").string());
  CHECK(contains(plugin.host.log(), "SIGSEGV in start()"));
  CHECK(contains(plugin.host.everDegraded(), "2nd time"));
}

TEST_CASE("what may not be made again ends with a sentence") {
  const TempDir dir;
  Isolated plugin(settingsFor("fake-isolated"));
  plugin.start();
  const CallScope call(seconds{60});

  SUBCASE("a mutation without an operation id") {
    const Error error = errorOf([&] { plugin.runtime().start(call.abi(), "abort"); });
    CHECK(error.status() == Status::Unavailable);
    CHECK(error.reason() == "PLUGIN_PROCESS");
    CHECK(contains(error.what(), "died with SIGABRT in start()"));
  }
  SUBCASE("a list of which something was seen; before that it starts anew") {
    int seen = 0;
    const Error error = errorOf([&] {
      plugin.runtime().list(call.abi(), "10 crash-once:" + (dir / "a").string(), [&](std::string_view) {
        ++seen;
        return true;
      });
    });
    // Whether anything was seen before the crash is a matter of time.
    if (error.status() == Status::Ok)
      CHECK(seen == 10);
    else
      CHECK(error.status() == Status::Unavailable);
    plugin.runtime().list(call.abi(), "0 crash-once:" + (dir / "b").string(), [&](std::string_view) { return true; });
  }
  SUBCASE("a call that kills every process") {
    const Error error = errorOf([&] { plugin.runtime().inspect(call.abi(), "exit"); });
    CHECK(error.status() == Status::Unavailable);
    CHECK(contains(error.what(), "4th"));
    CHECK(contains(error.what(), "exit code 7"));
  }
  SUBCASE("events") {
    std::atomic<bool> inside{false};
    std::thread killer([&] {
      eventually([&] { return inside.load(); });
      ::kill(plugin.pid(), SIGKILL);
    });
    const Error error = errorOf(
        [&] { plugin.runtime().events(call.abi(), "{}", [&](std::string_view) { return inside = true, true; }); });
    killer.join();
    CHECK(error.status() == Status::Unavailable);
    CHECK(contains(error.what(), "died with SIGKILL"));
  }
  CHECK(plugin.pid() > 0);
}

TEST_CASE("kill -9 under load loses no call that may be repeated") {
  Isolated plugin(settingsFor("fake-isolated"));
  plugin.start();
  std::atomic<bool> done{false};
  std::atomic<int> good{0}, bad{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 6; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; !done; ++i) {
        const CallScope call(seconds{60}, "op-" + std::to_string(t) + "-" + std::to_string(i));
        const std::string ref = "slow:" + std::to_string(i % 3);
        const Error error = errorOf([&] {
          if (i % 2 == 0)
            plugin.runtime().inspect(call.abi(), ref);
          else
            plugin.runtime().start(call.abi(), ref);
        });
        ++(error.status() == Status::Ok ? good : bad);
        INFO(error.what());
        CHECK(error.status() == Status::Ok);
      }
    });
  }
  const auto killOne = [&] {
    const int before = good;
    ::kill(plugin.pid(), SIGKILL);
    return eventually([&] { return good > before + 20; });
  };
  for (int i = 0; i < 5; ++i)
    CHECK(killOne());
  done = true;
  for (auto &caller : callers)
    caller.join();
  CHECK(bad == 0);
  CHECK(plugin.host.metric("matrixos_plugin_process_restarts_total") == 5);
}

TEST_CASE("a hung process is killed once four calls are overdue, and nobody waits longer than its deadline") {
  Isolated plugin(settingsFor("fake-isolated"));
  plugin.start();
  const pid_t before = plugin.pid();
  std::vector<std::thread> callers;
  std::atomic<int> expired{0};
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      const CallScope call(milliseconds{100});
      const Error error = errorOf([&] { plugin.runtime().inspect(call.abi(), "hang"); });
      if (error.status() == Status::DeadlineExceeded && contains(error.what(), "did not answer inspect()")) ++expired;
    });
  }
  for (auto &caller : callers)
    caller.join();
  CHECK(expired == 4);
  CHECK(eventually([&] { return plugin.pid() != before; }));
  CHECK(contains(plugin.host.log(), "was killed, since it hung: inspect() did not return by their deadlines"));
}

TEST_CASE("a plugin that does not start") {
  SUBCASE("it says why") {
    Isolated plugin(settingsFor("fake-isolated"));
    plugin.host.set("start", "throw");
    const Error error = errorOf([&] { plugin.start(); });
    CHECK(error.status() == Status::Aborted);
    CHECK(contains(error.what(), "on purpose"));
  }
  SUBCASE("it crashes") {
    Isolated plugin(settingsFor("fake-isolated"));
    plugin.host.set("start", "crash");
    CHECK(contains(errorOf([&] { plugin.start(); }).what(), "the plugin's process died with SIGSEGV in start()"));
  }
  SUBCASE("it crashes while it is loaded") {
    Isolated plugin(settingsFor("fake-crash-on-load"));
    CHECK(contains(errorOf([&] { plugin.start(); }).what(), "died with SIGSEGV in"));
  }
  SUBCASE("it hangs") {
    ProcessSettings settings = settingsFor("fake-isolated");
    settings.startTimeout = milliseconds{300};
    Isolated plugin(settings);
    plugin.host.set("start", "hang");
    CHECK(contains(errorOf([&] { plugin.start(); }).what(), "did not start within 300 ms"));
  }
  SUBCASE("its program is not there") {
    ProcessSettings settings = settingsFor("fake-isolated");
    settings.program = "/nowhere/matrixos-plugin-host";
    Isolated plugin(settings);
    CHECK(contains(errorOf([&] { plugin.start(); }).what(), "/nowhere/matrixos-plugin-host"));
  }
}

TEST_CASE("a restart that fails is tried again") {
  Isolated plugin(settingsFor("fake-isolated"));
  plugin.start();
  plugin.host.set("start", "throw");
  ::kill(plugin.pid(), SIGKILL);
  CHECK(eventually([&] { return contains(plugin.host.degraded(), "could not start the plugin: it went wrong"); }));
  // Who calls meanwhile is told within the deadline.
  const CallScope brief(milliseconds{50});
  const Error error = errorOf([&] { plugin.runtime().inspect(brief.abi(), "x"); });
  CHECK(error.status() == Status::Unavailable);
  CHECK(contains(error.what(), "the plugin's process does not run"));
  plugin.host.set("start", "");
  CHECK(plugin.pid() > 0);
  CHECK(plugin.host.degraded().empty());
}

TEST_CASE("a plugin that does not stop loses its process") {
  ProcessSettings settings = settingsFor("fake-isolated");
  settings.stopTimeout = milliseconds{200};
  Isolated plugin(settings);
  plugin.start();
  const pid_t pid = plugin.pid();
  plugin.host.set("stop", "hang");
  const Error error = errorOf([&] { plugin.stop(); });
  CHECK(error.status() == Status::DeadlineExceeded);
  CHECK(contains(error.what(), "was killed"));
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("processes that misbehave are killed, and the daemon's side stays what it was") {
  const std::size_t before = openFds();
  for (const std::string mode :
       {"garbage-1", "garbage-2", "garbage-3", "random-1", "random-2", "future", "huge", "goes", "items"}) {
    CAPTURE(mode);
    ProcessSettings settings = settingsFor("fake-isolated");
    settings.id = mode;
    settings.program = buildFolder() / "tests/fake-plugin-host";
    settings.stopTimeout = milliseconds{200};
    Isolated plugin(settings);
    const Error error = errorOf([&] { plugin.start(); });
    if (error.status() != Status::Ok) continue; // it was noticed before the start was over
    const CallScope call(seconds{20});
    if (mode == "items") {
      // What its caller does not take in time is more than it was allowed.
      errorOf([&] {
        plugin.runtime().list(call.abi(), "{}", [](std::string_view) {
          std::this_thread::sleep_for(milliseconds{1});
          return true;
        });
      });
    }
    CHECK(eventually([&] { return plugin.host.metric("matrixos_plugin_process_restarts_total") >= 1; }));
    CHECK_FALSE(plugin.host.everDegraded().empty());
    errorOf([&] { plugin.stop(); }); // it does not answer
  }
  // One is this thread's own to wait with.
  CHECK(eventually([&] { return openFds() <= before + 1; }));
}

TEST_CASE("other misbehaviour before the start is over") {
  for (const std::string mode : {"silent", "other"}) {
    CAPTURE(mode);
    ProcessSettings settings = settingsFor("fake-isolated");
    settings.id = mode;
    settings.program = buildFolder() / "tests/fake-plugin-host";
    settings.startTimeout = milliseconds{500};
    Isolated plugin(settings);
    const Error error = errorOf([&] { plugin.start(); });
    CHECK(contains(error.what(), mode == "silent" ? "did not start within" : "of another version"));
  }
}

TEST_CASE("a process that does not read is killed") {
  ProcessSettings settings = settingsFor("fake-isolated");
  settings.id = "deaf";
  settings.program = buildFolder() / "tests/fake-plugin-host";
  settings.stall = milliseconds{200};
  settings.limits.deaths = 1;
  Isolated plugin(settings);
  plugin.start();
  const CallScope call(seconds{60});
  const Error error = errorOf([&] { plugin.runtime().inspect(call.abi(), std::string(3'000'000, 'x')); });
  CHECK(error.status() == Status::Unavailable);
  CHECK(eventually([&] { return contains(plugin.host.log(), "was killed, since it does not read"); }));
}

TEST_CASE("what a plugin says of itself without being loaded here") {
  const auto ask = [](const std::string &id, milliseconds timeout = seconds{20}) {
    const ProcessSettings settings = settingsFor(id);
    return PluginDescription::ask(settings.program, settings.file, id + ".so", timeout);
  };
  const auto description = ask("fake-isolated");
  REQUIRE(description->descriptor() != nullptr);
  const mos_descriptor_v1 &d = *description->descriptor();
  CHECK(d.id == std::string("fake-isolated"));
  CHECK(d.provides[0].service == std::string(MOS_RUNTIME_1));
  CHECK(d.provides[0].instance == std::string("fake"));
  CHECK(d.config_keys_count == 3);
  CHECK(d.config_keys[0].help == std::string("Why it runs degraded."));
  CHECK(whyNotIsolated(d).empty());
  // What its constructors print is not its answer.
  CHECK(ask("fake-chatty-on-load")->descriptor()->id == std::string("fake-chatty-on-load"));

  CHECK(contains(errorOf([&] { ask("fake-crash-on-load"); }).what(), "died with SIGSEGV"));
  CHECK(contains(errorOf([&] { ask("fake-hang-on-load", milliseconds{300}); }).what(), "hang"));
  CHECK(contains(errorOf([&] { ask("nowhere"); }).what(), "cannot be loaded"));
  CHECK(ask("fake-wrong-magic")->descriptor()->magic == 42);
  CHECK(ask("fake-small-struct")->descriptor()->struct_size == 24);
  CHECK(contains(whyNotIsolated(*ask("fake-wakes")->descriptor()), "matrixos.lifecycle/1"));
}

TEST_CASE("commands come from another process as they are declared, and are judged here") {
  const mos_command_option options[] = {{"limit", "N", "at most so many", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
  mos_command command{};
  command.words = "hooks list";
  command.help = "All of them";
  command.method = "GET";
  command.path = "/hooks";
  command.columns = "ID=id";
  command.options = options;
  command.options_count = 1;
  mos_descriptor_v1 d{};
  d.struct_size = sizeof d;
  d.magic = MOS_MAGIC;
  d.abi_major = MOS_ABI_MAJOR;
  d.commands = &command;
  d.commands_count = 1;
  std::string text = PluginDescription::toJson(&d);
  const auto description = PluginDescription::fromJson(text);
  const auto commands = common::CommandDescription::readAll(*description->descriptor());
  REQUIRE(commands.size() == 1);
  CHECK(json::dump(*commands[0].toJson()) == json::dump(*common::CommandDescription::readAll(d)[0].toJson()));

  text.replace(text.find("/hooks"), 6, "/{ID}x");
  const auto forged = PluginDescription::fromJson(text);
  CHECK(errorOf([&] { common::CommandDescription::readAll(*forged->descriptor()); }).reason() == "PLUGIN_DESCRIPTOR");
  command.path = "hooks";
  CHECK(errorOf([&] { PluginDescription::toJson(&d); }).reason() == "PLUGIN_DESCRIPTOR");
}

TEST_CASE("a plugin says whether it looks at its section") {
  mos_descriptor_v1 d{};
  d.struct_size = sizeof d;
  d.magic = MOS_MAGIC;
  d.abi_major = MOS_ABI_MAJOR;
  const auto looks = [&d] {
    return PluginDescription::fromJson(PluginDescription::toJson(&d))->descriptor()->check != nullptr;
  };
  CHECK_FALSE(looks());
  d.check = [](const mos_host_config_v1 *, mos_problems, mos_error *) -> mos_status { return MOS_OK; };
  CHECK(looks());
  d.struct_size = offsetof(mos_descriptor_v1, check);
  CHECK_FALSE(looks());
}

TEST_CASE("claims are told as they are, and cannot be told beyond what there is") {
  const std::string schema = "{\"description\":\"" + std::string(5000, 'x') + "\"}";
  const mos_claim claims[] = {{MOS_CLAIM_TABLE, "hooks_*", nullptr, "Webhooks."},
                              {MOS_CLAIM_TOPIC, "hooks.sent", schema.c_str(), nullptr}};
  mos_descriptor_v1 d{};
  d.struct_size = sizeof d;
  d.magic = MOS_MAGIC;
  d.abi_major = MOS_ABI_MAJOR;
  d.claims = claims;
  d.claims_count = 2;
  const auto told = PluginDescription::fromJson(PluginDescription::toJson(&d));
  REQUIRE(told->descriptor()->claims_count == 2);
  CHECK(told->descriptor()->claims[0].pattern == std::string("hooks_*"));
  CHECK(told->descriptor()->claims[0].help == std::string("Webhooks."));
  CHECK(told->descriptor()->claims[1].kind == std::string(MOS_CLAIM_TOPIC));
  CHECK(told->descriptor()->claims[1].schema == schema);
  d.claims = nullptr;
  CHECK(PluginDescription::fromJson(PluginDescription::toJson(&d))->descriptor()->claims_count == 2);
  d.struct_size = MOS_DESCRIPTOR_LEAST_SIZE;
  CHECK(PluginDescription::fromJson(PluginDescription::toJson(&d))->descriptor()->claims_count == 0);
}

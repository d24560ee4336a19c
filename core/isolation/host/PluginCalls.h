#pragma once

#include "common/Executor.h"
#include "isolation/Functions.h"
#include "isolation/host/DaemonLink.h"
#include "isolation/host/HostTables.h"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace matrixos::isolation::host {

/// Makes the daemon's calls into the plugin, each on a thread of its own, and sends what they give.
class PluginCalls {
public:
  /// `file`: what to load at the first call, which is the plugin's start.
  PluginCalls(DaemonLink &link, std::string file, std::string id);
  ~PluginCalls();

  /// On the receiving thread; never waits. Throws Error("PROTOCOL").
  void onFrame(FrameType type, std::string_view payload);

private:
  struct Call;

  void onCall(std::string_view payload);
  void work(const std::shared_ptr<Call> &call);
  mos_status run(Call &call, std::string &json, std::uint64_t &number, mos_error *error);
  mos_status runService(Call &call, std::string &json, mos_error *error);
  mos_status start(mos_error *error);
  mos_status stop(mos_error *error);
  bool sendItem(Call &call, std::string_view item);
  void enterPhase(const char *name);
  std::shared_ptr<Call> find(std::uint64_t id);

  DaemonLink &link_;
  const std::string file_, id_;
  NeededProxies needed_;
  EventHandlers events_;
  std::unique_ptr<HostTables> tables_; ///< made by the start, which is over before other calls come
  mos_plugin_v1 plugin_{};
  std::mutex mutex_; ///< calls_
  std::condition_variable left_;
  std::map<std::uint64_t, std::shared_ptr<Call>> calls_;
  common::Executor threads_;
};

} // namespace matrixos::isolation::host

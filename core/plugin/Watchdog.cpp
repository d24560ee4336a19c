#include "plugin/Watchdog.h"

#include <matrixos/status.hpp>

#include <pthread.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace matrixos::plugin {

WatchedResult runWatched(const std::string &threadName, std::chrono::milliseconds timeout,
                         std::function<mos_status(mos_error *)> call) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable ended;
    WatchedResult result;
  };
  auto shared = std::make_shared<Shared>();
  std::thread thread([shared, call = std::move(call), name = threadName.substr(0, 15)] {
    ::pthread_setname_np(::pthread_self(), name.c_str());
    mos_error error{};
    const mos_status status = guarded(&error, [&] { return call(&error); });
    const std::lock_guard lock(shared->mutex);
    shared->result = {true, status, error};
    shared->ended.notify_all();
  });
  std::unique_lock lock(shared->mutex);
  const bool returned = shared->ended.wait_for(lock, timeout, [&] { return shared->result.returned; });
  const WatchedResult result = shared->result;
  lock.unlock();
  if (returned)
    thread.join();
  else
    thread.detach();
  return result;
}

} // namespace matrixos::plugin

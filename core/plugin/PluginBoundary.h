#pragma once

#include "plugin/PluginFaults.h"
#include "plugin/PluginScope.h"

#include <matrixos/status.hpp>

#include <exception>
#include <string>

namespace matrixos::plugin {

/// The plugin's exception as an answer: MOS_INTERNAL with its name and the function's.
mos_status answerThrown(const PluginTag *plugin, const char *what, const char *text, mos_error *error) noexcept;

/// Runs `body`, which calls into the plugin and gives a mos_status: the thread is marked, and an exception, which the
/// interface forbids but nothing prevents, becomes an answer. `what` is static text such as "start()".
mos_status callPlugin(const PluginTag *plugin, const char *what, mos_error *error, auto &&body) noexcept {
  const PluginScope scope(plugin, what);
  try {
    return body();
  } catch (const std::exception &e) {
    return answerThrown(plugin, what, e.what(), error);
  } catch (...) {
    return answerThrown(plugin, what, "something that is no std::exception", error);
  }
}

/// The same for callbacks without an answer.
void callBackPlugin(const PluginTag *plugin, const char *what, auto &&body) noexcept {
  callPlugin(plugin, what, nullptr, [&] {
    body();
    return MOS_OK;
  });
}

/// Makes an answer one that a consumer can rely on: a status that exists, texts that end.
mos_status checkedStatus(const PluginTag *plugin, const char *what, mos_status status, mos_error *error) noexcept;
/// Whether a buffer that came with MOS_OK can be read; else `error` says what is wrong with it.
bool checkBuffer(const PluginTag *plugin, const char *what, const mos_buf &buffer, mos_error *error) noexcept;

} // namespace matrixos::plugin

#include "plugin/PluginBoundary.h"

namespace matrixos::plugin {

namespace {

/// No answer of a known interface comes near it; a length beyond is garbage.
constexpr std::uint64_t kLongestAnswer = 64 * 1024 * 1024;

std::string sentence(const PluginTag *plugin, const char *what, const std::string &does) {
  return "the plugin " + std::string(plugin != nullptr ? plugin->id : "?") + " " + does + " in " + what;
}

} // namespace

mos_status answerThrown(const PluginTag *plugin, const char *what, const char *text, mos_error *error) noexcept {
  return guarded(error, [&]() -> mos_status {
    const std::string says = text != nullptr ? text : "";
    if (plugin != nullptr) {
      PluginFaults::instance().report(plugin->id, PluginFault::Threw,
                                      std::string("an exception left ") + what + ": " + says);
    }
    return fail(error, Status::Internal, sentence(plugin, what, "threw an exception") + ": " + says, "PLUGIN_THREW");
  });
}

mos_status checkedStatus(const PluginTag *plugin, const char *what, mos_status status, mos_error *error) noexcept {
  if (status == MOS_OK) return status;
  if (status < MOS_OK || status > MOS_UNAUTHENTICATED) {
    return guarded(error, [&] {
      return fail(error, Status::Unknown,
                  sentence(plugin, what, "answered the status " + std::to_string(status) + ", which does not exist,"),
                  "PLUGIN_ANSWER");
    });
  }
  if (error != nullptr) {
    error->status = status;
    error->reason[MOS_REASON_SIZE - 1] = '\0';
    error->message[MOS_MESSAGE_SIZE - 1] = '\0';
  }
  return status;
}

bool checkBuffer(const PluginTag *plugin, const char *what, const mos_buf &buffer, mos_error *error) noexcept {
  if (buffer.len == 0) return true;
  if (buffer.ptr != nullptr && buffer.len <= kLongestAnswer) return true;
  guarded(error, [&] {
    return fail(error, Status::Internal,
                sentence(plugin, what,
                         buffer.ptr == nullptr ? "gave an answer with a length but without content"
                                               : "gave an answer of " + std::to_string(buffer.len) + " bytes"),
                "PLUGIN_ANSWER");
  });
  return false;
}

} // namespace matrixos::plugin

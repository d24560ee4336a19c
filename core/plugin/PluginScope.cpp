#include "plugin/PluginScope.h"

#include "common/SignalStack.h"

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace matrixos::plugin {

namespace {

thread_local PluginScope::Where where;

template <std::size_t Size>
void copyInto(char (&to)[Size], const std::string &from) noexcept {
  std::strncpy(to, from.c_str(), Size - 1);
  to[Size - 1] = '\0';
}

/// Tags by id, the latest last, and by id and version.
struct Tags {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, const PluginTag *> all;
  std::map<std::string, const PluginTag *> latest;
};

Tags &tags() {
  static auto *tags = new Tags;
  return *tags;
}

const PluginTag *intern(Tags &tags, const std::string &id, const std::string &version) {
  const PluginTag *&tag = tags.all[{id, version}];
  if (tag == nullptr) {
    auto *made = new PluginTag{};
    copyInto(made->id, id);
    copyInto(made->version, version);
    tag = made;
  }
  return tag;
}

} // namespace

PluginScope::PluginScope(const PluginTag *plugin, const char *what) noexcept : before_(where) {
  common::ensureSignalStack();
  where.what = what;
  // A signal comes between any two instructions: the handler sees either plugin, and never a text without a plugin.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  where.plugin = plugin;
}

PluginScope::~PluginScope() {
  where.plugin = before_.plugin;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  where.what = before_.what;
}

PluginScope::Where PluginScope::here() noexcept {
  return where;
}

const PluginTag *PluginScope::tagOf(const std::string &id, const std::string &version) {
  Tags &known = tags();
  const std::lock_guard lock(known.mutex);
  return known.latest[id] = intern(known, id, version);
}

const PluginTag *PluginScope::tagOf(const std::string &id) {
  Tags &known = tags();
  const std::lock_guard lock(known.mutex);
  const auto at = known.latest.find(id);
  return at != known.latest.end() ? at->second : intern(known, id, "");
}

} // namespace matrixos::plugin

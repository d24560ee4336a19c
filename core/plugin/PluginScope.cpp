#include "plugin/PluginScope.h"

#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace matrixos::plugin {

namespace {

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

constinit thread_local PluginScope::Where PluginScope::where_;

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

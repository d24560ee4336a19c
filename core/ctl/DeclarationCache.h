#pragma once

#include "common/CommandDescription.h"

#include <matrixos/json.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

struct stat;

namespace matrixos::ctl {

/// What plugin files declared when they were last asked, so that asking, which runs their first code, is rare. One file
/// of our user's own: <cache>/matrixos/commands.json, where <cache> is $XDG_CACHE_HOME or ~/.cache. What others could
/// write is not read, and what cannot be written is not kept. Entries whose plugin file changed are forgotten.
class DeclarationCache {
public:
  /// Reads it; never throws.
  DeclarationCache();
  /// Writes it if there is news; never throws.
  ~DeclarationCache();

  /// Nothing when the file was not asked as it is now, or failed to answer and that was a while ago.
  std::optional<std::vector<common::CommandDescription>> find(const std::filesystem::path &file,
                                                              const struct stat &info) const;
  /// `commands`: none when it did not answer.
  void keep(const std::filesystem::path &file, const struct stat &info,
            const std::optional<std::vector<common::CommandDescription>> &commands);

private:
  void read();
  void write() const;

  const std::filesystem::path path_; ///< empty: nowhere
  std::map<std::string, json::Object::Ptr> entries_;
  bool changed_ = false;
};

} // namespace matrixos::ctl

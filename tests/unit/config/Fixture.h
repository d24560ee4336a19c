#pragma once

#include "config/Config.h"
#include "config/CoreSchema.h"
#include "config/Loader.h"
#include "config/Validator.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::config::test {

/// A fresh directory, removed with everything in it.
class TempDir {
public:
  TempDir();
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;
  ~TempDir();

  const std::filesystem::path &path() const noexcept { return path_; }
  /// Writes a file, with its folders, and returns its path. Mode 0600.
  std::filesystem::path write(const std::string &name, std::string_view text) const;

private:
  std::filesystem::path path_;
};

/// The core's schema, and two plugins that have a key of every type and flag between them.
Schema sampleSchema();

/// Loads and validates `text` as DIR/x.ini or DIR/x.xml (by its first character) and returns the problems, with the
/// directory's name taken out. Empty: the configuration is fine.
std::vector<std::string> problemsOf(std::string_view text, const std::vector<std::string> &sets = {},
                                    const std::vector<std::string> &environment = {});

/// The configuration; throws ConfigError.
ConfigPtr configOf(std::string_view text, const std::vector<std::string> &sets = {},
                   const std::vector<std::string> &environment = {});

} // namespace matrixos::config::test

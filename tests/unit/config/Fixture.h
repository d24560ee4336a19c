#pragma once

#include "config/Config.h"
#include "config/CoreSchema.h"
#include "config/Loader.h"
#include "config/Validator.h"
#include "support/TempDir.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::config::test {

/// A fresh folder for configuration files.
class TempDir : public matrixos::test::TempDir {
public:
  /// Writes a file, with its folders, and returns its path. Mode 0600.
  std::filesystem::path write(const std::string &name, std::string_view text) const;
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

#pragma once

#include <string>
#include <vector>

namespace matrixos::plugin {

/// What a shared object says of itself, read without loading it: no code of it runs.
struct ElfFile {
  std::vector<std::string> exports;          ///< dynamic symbols that others can bind to
  std::vector<std::string> undefinedSymbols; ///< what it wants from others, weak ones left out
  std::vector<std::string> uniqueSymbols;    ///< STB_GNU_UNIQUE: one for the whole process, whatever loads it
  std::vector<std::string> needed;           ///< DT_NEEDED: names of libraries
  std::string runPath;                       ///< DT_RUNPATH or DT_RPATH, where those are looked for first

  bool exportsSymbol(const std::string &name) const;

  /// Reads from the descriptor, whose position does not matter. `name` is for messages. Every table is checked against
  /// the file's size before it is read, so that a forged or shortened file costs nothing: the loader would map it and
  /// crash with SIGBUS at the first touch of a page that is not there. Throws Error(FailedPrecondition) with what is
  /// wrong: no 64-bit shared object of this machine, or one that ends before its content.
  static ElfFile read(int fd, const std::string &name);
};

} // namespace matrixos::plugin

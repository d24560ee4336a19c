#pragma once

#include <filesystem>
#include <string>

namespace matrixos::test {

/// A fresh folder under /tmp with a short name (unix socket paths are bounded), removed with its content at the end.
class TempDir {
public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;

  const std::filesystem::path &path() const noexcept { return path_; }
  std::filesystem::path operator/(const std::string &name) const { return path_ / name; }

private:
  std::filesystem::path path_;
};

void writeFile(const std::filesystem::path &path, const std::string &text);
std::string readFile(const std::filesystem::path &path);

} // namespace matrixos::test

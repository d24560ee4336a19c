#pragma once

#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace matrixos::test {

/// A disk of a few megabytes of its own, to be filled. Only root has one, see mounted().
class SmallDisk {
public:
  /// Mounts it at `path`, which it makes.
  explicit SmallDisk(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::create_directory(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=32m,mode=700") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk &) = delete;
  SmallDisk &operator=(const SmallDisk &) = delete;

  bool mounted() const noexcept { return mounted_; }
  const std::filesystem::path &path() const noexcept { return path_; }

  /// Takes all that is left of it.
  void fill() const {
    std::ofstream file(path_ / "filler", std::ios::binary | std::ios::app);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void free() const { std::filesystem::remove(path_ / "filler"); }

private:
  const std::filesystem::path path_;
  bool mounted_ = false;
};

} // namespace matrixos::test

#pragma once

#include "Record.h"

#include <filesystem>
#include <optional>
#include <string>

namespace matrixos::audit {

/// Which row stands last, kept outside the database: who cuts the log's tail, or puts another database in its place,
/// would have to change this as well. One thread writes.
class HeadFile {
public:
  struct Content {
    Link last;
    std::optional<Link> next; ///< is being written: it stands last, or is not there yet
  };

  explicit HeadFile(std::filesystem::path file) : file_(std::move(file)) {}

  const std::filesystem::path &path() const noexcept { return file_; }
  /// Nothing when there is no file. Throws Error(DataLoss) for one that cannot be understood, Error(Unavailable) for
  /// one that cannot be read.
  std::optional<Content> read() const;
  /// Durable on return. Throws Error(ResourceExhausted) when the disk is full, else Error(Unavailable).
  void write(const Content &content) const;

private:
  [[noreturn]] void fail(const std::string &what, int code) const;

  const std::filesystem::path file_;
};

} // namespace matrixos::audit

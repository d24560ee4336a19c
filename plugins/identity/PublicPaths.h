#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace matrixos::identity {

/// Paths of instances that everybody may see: "/about" is that path, "/blog/*" all below /blog/, by whole segments.
///
/// It decides on the bytes that the instance gets. A path that the instance could read as another one, with dot
/// segments, encoded slashes and the like, is below nothing.
class PublicPaths {
public:
  PublicPaths() = default;
  explicit PublicPaths(std::vector<std::string> list) : list_(std::move(list)) {}

  /// `path`: as it is forwarded, without the query.
  bool contains(std::string_view path) const noexcept;

  /// The end of a sentence that says why an item is none; empty for one that is.
  static std::string whyNot(std::string_view item);

private:
  std::vector<std::string> list_;
};

} // namespace matrixos::identity

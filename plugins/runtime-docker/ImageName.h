#pragma once

#include <string>
#include <string_view>

namespace matrixos::docker {

/// A reference to an image: "repository[:tag][@digest]" or an image id "sha256:…".
struct ImageName {
  std::string repository; ///< "ghcr.io/hamedmp/matrix-os"; "sha256:…" for an id
  std::string tag;        ///< "latest" when none was given; empty with a digest or id
  std::string digest;     ///< "sha256:…" or empty

  /// Throws Error(InvalidArgument) for what no engine could mean.
  static ImageName parse(std::string_view text);

  /// As the engine's other calls take it, with the tag spelled out.
  std::string full() const;
  /// Value of the pull's `tag`: a digest stands there as well.
  const std::string &reference() const noexcept { return digest.empty() ? tag : digest; }
  /// The registry it is pulled from: "ghcr.io", "127.0.0.1:5000"; "docker.io" when none is named.
  std::string registry() const;
  bool isId() const noexcept { return repository.compare(0, 7, "sha256:") == 0; }
};

} // namespace matrixos::docker

#pragma once

#include "http/Router.h"

#include <http/codec/Head.h>
#include <http/engine/ClientExchange.h>

#include <memory>
#include <string>

namespace matrixos::api {

/// A file that is served from memory: with an ETag, compressed for who takes it so.
struct SiteFile {
  std::string contentType;
  std::string body;
  std::string gzip;         ///< the same compressed; or empty
  bool isImmutable = false; ///< what stands at its path never changes
  http::FieldPairs fields;  ///< that go with it
};

/// What serves it.
std::function<void(const std::shared_ptr<ApiExchange> &)> serveFile(SiteFile file);

} // namespace matrixos::api

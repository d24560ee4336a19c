#include "http/SiteFile.h"

#include "http/ApiExchange.h"

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>
#include <http/codec/Grammar.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace matrixos::api {

namespace {

/// One of the content's own: what is compressed is another representation (RFC 9110 §8.8.3).
std::string tagOf(std::string_view content, std::string_view encoding) {
  Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
  engine.update(content.data(), content.size());
  std::string tag = "\"" + Poco::DigestEngine::digestToHex(engine.digest()).substr(0, 32);
  return tag.append(encoding).append("\"");
}

/// RFC 9110 §12.5.3; who refuses it says q=0.
bool takesGzip(std::string_view accepted) {
  bool takes = false;
  http::forEachListItem(accepted, [&](std::string_view element) {
    const std::size_t end = std::min(element.find(';'), element.size());
    if (!http::sameText(http::trim(element.substr(0, end)), "gzip")) return;
    const std::string_view quality = http::trim(element.substr(std::min(end + 1, element.size())));
    takes = quality.find_first_not_of("q=0. ") != quality.npos || quality.empty();
  });
  return takes;
}

/// RFC 9110 §13.1.2, which compares weakly.
bool isKnown(std::string_view tags, std::string_view tag) {
  bool known = false;
  http::forEachListItem(tags, [&](std::string_view element) {
    if (element.substr(0, 2) == "W/") element.remove_prefix(2);
    known = known || element == "*" || element == tag;
  });
  return known;
}

} // namespace

std::function<void(const std::shared_ptr<ApiExchange> &)> serveFile(SiteFile given) {
  const auto file = std::make_shared<const SiteFile>(std::move(given));
  return [file, plainTag = tagOf(file->body, ""),
          gzipTag = tagOf(file->body, "-gzip")](const std::shared_ptr<ApiExchange> &exchange) {
    const bool compressed = !file->gzip.empty() && takesGzip(exchange->header("Accept-Encoding").value_or(""));
    const std::string &tag = compressed ? gzipTag : plainTag;
    http::FieldPairs fields = file->fields;
    fields.emplace_back("ETag", tag);
    fields.emplace_back("Cache-Control", file->isImmutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (!file->gzip.empty()) fields.emplace_back("Vary", "Accept-Encoding");
    if (isKnown(exchange->header("If-None-Match").value_or(""), tag))
      return exchange->respond(304, {}, std::move(fields), {});
    if (compressed) fields.emplace_back("Content-Encoding", "gzip");
    exchange->respond(200, file->contentType, std::move(fields), compressed ? file->gzip : file->body);
  };
}

} // namespace matrixos::api

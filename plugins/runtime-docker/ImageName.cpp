#include "ImageName.h"

#include "Text.h"

#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::docker {

namespace {

bool isWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool isRepository(std::string_view text) {
  if (text.empty() || (!isWord(text.front()) && text.front() != '[') || !isWord(text.back())) return false;
  if (text.find("//") != std::string_view::npos || text.find("..") != std::string_view::npos) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return isWord(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-' || c == '/' || c == ':' ||
           c == '[' || c == ']';
  });
}

bool isDigest(std::string_view text) {
  return text.size() == 71 && text.substr(0, 7) == "sha256:" &&
         text.substr(7).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

} // namespace

ImageName ImageName::parse(std::string_view text) {
  const Error bad(Status::InvalidArgument,
                  "\"" + tidy(text, 120) + "\" is no image reference; write it like ghcr.io/hamedmp/matrix-os:latest",
                  "BAD_IMAGE");
  if (text.empty() || text.size() > 512) throw bad;
  ImageName name;
  if (isDigest(text)) {
    name.repository.assign(text);
    return name;
  }
  const std::size_t at = text.find('@');
  if (at != std::string_view::npos) {
    name.digest.assign(text.substr(at + 1));
    if (!isDigest(name.digest)) throw bad;
    text = text.substr(0, at);
  }
  // A colon after the last slash starts the tag; one before it belongs to the registry's port.
  const std::size_t slash = text.rfind('/');
  const std::size_t colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    name.tag.assign(text.substr(colon + 1));
    if (!isEngineName(name.tag)) throw bad;
    text = text.substr(0, colon);
  }
  if (!isRepository(text)) throw bad;
  name.repository.assign(text);
  // Without a tag the engine would pull every tag of the repository.
  if (!name.digest.empty())
    name.tag.clear();
  else if (name.tag.empty())
    name.tag = "latest";
  return name;
}

std::string ImageName::full() const {
  if (isId()) return repository;
  return digest.empty() ? repository + ":" + tag : repository + "@" + digest;
}

std::string ImageName::registry() const {
  const std::string first = repository.substr(0, repository.find('/'));
  const bool isHost =
      first.size() != repository.size() && (first.find_first_of(".:") != std::string::npos || first == "localhost");
  return isHost ? first : "docker.io";
}

} // namespace matrixos::docker

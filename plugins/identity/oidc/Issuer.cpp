#include "Issuer.h"

#include "BadSetting.h"

#include <http/client/Url.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace matrixos::identity {

namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::uint64_t kMaxDocument = 1024 * 1024;

bool isIpv4Loopback(std::string_view host) {
  // A name can begin so, too: 127.example.org.
  return host.substr(0, 4) == "127." && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

} // namespace

std::string originOf(std::string_view url) {
  try {
    return http::Url::parse(url).origin;
  } catch (const Error &) {
    return {};
  }
}

bool isHostName(std::string_view text) noexcept {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return !text.empty() && text.size() <= 253 && text.front() != '.' && text.back() != '.' &&
         std::all_of(text.begin(), text.end(), plain) && text.find("..") == std::string_view::npos;
}

bool isPlainLoopback(std::string_view url) {
  const std::string origin = originOf(url);
  constexpr std::string_view kScheme = "http://";
  if (origin.compare(0, kScheme.size(), kScheme) != 0) return false;
  std::string_view host = std::string_view(origin).substr(kScheme.size());
  host = host.substr(0, host.front() == '[' ? host.find(']') + 1 : host.find(':'));
  return host == "[::1]" || host == "localhost" || host.ends_with(".localhost") || isIpv4Loopback(host);
}

Issuer::Issuer(std::string name, World world) : name_(std::move(name)), world_(std::move(world)) {
  origin_ = originOf(name_);
  isPlain_ = isPlainLoopback(name_);
  const bool isSafe = isPlain_ || origin_.compare(0, 8, "https://") == 0;
  if (!isSafe || name_.find_first_of("?#") != std::string::npos)
    throw BadSetting("issuer", "has to be an https URL without query and fragment; http is for this machine alone",
                     "BAD_ISSUER");
}

bool Issuer::allows(std::string_view url) const {
  if (url.find('#') != std::string_view::npos) return false;
  return originOf(url).compare(0, 8, "https://") == 0 || (isPlain_ && isPlainLoopback(url));
}

FetchAnswer Issuer::ask(FetchRequest request, bool byOperator) const {
  request.timeout = kPatience;
  request.maxSilence = kPatience;
  request.maxBody = kMaxDocument;
  request.allowPrivate = byOperator || originOf(request.url) == origin_;
  try {
    return world_.fetch(request);
  } catch (const Error &e) {
    world_.note("the sign-in provider cannot be reached: " + std::string(e.what()));
    throw Error(Status::Unavailable, "The sign-in provider cannot be reached; try again later", "ISSUER_UNREACHABLE");
  }
}

Json Issuer::document(const std::string &url, bool byOperator) const {
  FetchRequest request;
  request.url = url;
  request.headers = {{"Accept", "application/json"}};
  const FetchAnswer answer = ask(std::move(request), byOperator);
  if (answer.status != 200) throw unusable("it answers " + url + " with status " + std::to_string(answer.status));
  try {
    return parseStrictObject(answer.body);
  } catch (const Error &e) {
    throw unusable("what it says at " + url + " is " + e.what());
  }
}

Error Issuer::unusable(const std::string &why) const {
  world_.note("the sign-in provider cannot be used: " + why);
  return Error(Status::Unavailable, "The sign-in provider does not work as it should; the operators can read why",
               "BAD_ISSUER_ANSWER");
}

} // namespace matrixos::identity

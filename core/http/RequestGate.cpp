#include "http/RequestGate.h"

#include <algorithm>
#include <utility>

namespace matrixos::api {

namespace {

constexpr std::string_view kVersionPrefix = "HTTP/";
constexpr std::size_t kMaxMethod = 24;
constexpr int kMaxConnectionOptions = 32;

bool isDigit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

/// Characters that RFC 3986 allows in a path or query, percent signs included. Everything else, above all `\`, `#` and
/// white space, is read differently by different servers.
bool isTargetChar(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte <= 0x20 || byte >= 0x7F) return false;
  return std::string_view("\"#<>\\^`{|}").find(c) == std::string_view::npos;
}

/// A name or IPv4 address, or an IPv6 address in brackets, and perhaps a port of 1 to 5 digits: neither user
/// information nor anything that could be taken for a second host. Which host it is, others decide.
bool isHostValue(std::string_view value) {
  const auto all = [](std::string_view text, std::string_view more, bool hexOnly) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
      const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
      return isDigit(c) || (lower >= 'a' && lower <= (hexOnly ? 'f' : 'z')) || more.find(c) != std::string_view::npos;
    });
  };
  std::size_t end = value.find(':');
  if (value.substr(0, 1) == "[") {
    end = value.find(']');
    if (end == std::string_view::npos || end < 3 || !all(value.substr(1, end - 1), ":.", true)) return false;
    ++end;
  } else if (end == 0 || value.empty() || !all(value.substr(0, end), "-._", false)) {
    return false;
  }
  if (end >= value.size()) return true;
  const std::string_view port = value.substr(end + 1);
  return value[end] == ':' && !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), isDigit);
}

} // namespace

RequestGate::Verdict RequestGate::examine(std::string_view bytes) {
  if (status_ != 0) return Verdict::Refused;
  for (; seen_ < bytes.size(); ++seen_) {
    const char c = bytes[seen_];
    const auto byte = static_cast<unsigned char>(c);
    if (seen_ >= limits_->maxHead) return refuse(431, "the request head is too large");
    if (!lineSeen_ && seen_ >= limits_->maxRequestLine) return refuse(414, "the request line is too long");
    if (c == '\n') {
      if (seen_ == 0 || bytes[seen_ - 1] != '\r') return refuse(400, "a line ends in a bare LF");
      lineSeen_ = true;
      if (seen_ >= 3 && bytes.substr(seen_ - 3, 4) == "\r\n\r\n") {
        headBytes_ = seen_ + 1;
        return parse(bytes.substr(0, headBytes_ - 2));
      }
      if (seen_ == 1) return refuse(400, "the request starts with an empty line");
    } else if (seen_ > 0 && bytes[seen_ - 1] == '\r') {
      return refuse(400, "a bare CR stands in the request head");
    } else if ((byte < 0x20 && c != '\r' && c != '\t') || byte == 0x7F) {
      return refuse(400, "a control byte stands in the request head");
    }
  }
  return Verdict::NeedMore;
}

RequestGate::Verdict RequestGate::refuse(int status, std::string fault) {
  status_ = status;
  fault_ = std::move(fault);
  return Verdict::Refused;
}

/// `head` is all lines, each with its CRLF, without the empty one.
RequestGate::Verdict RequestGate::parse(std::string_view head) {
  std::size_t end = head.find("\r\n");
  if (!parseRequestLine(head.substr(0, end))) return Verdict::Refused;
  head.remove_prefix(end + 2);
  while (!head.empty()) {
    end = head.find("\r\n");
    if (head_.fields.size() >= limits_->maxFields) return refuse(431, "the request has too many header fields");
    if (!parseField(head.substr(0, end))) return Verdict::Refused;
    head.remove_prefix(end + 2);
  }
  if (!checkHost() || !checkTarget() || !checkFraming() || !checkExpectation() || !checkConnection())
    return Verdict::Refused;
  return Verdict::Admitted;
}

bool RequestGate::parseRequestLine(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || line.find('\t') != std::string_view::npos) {
    refuse(400, "the request line is not \"METHOD target HTTP/1.1\"");
    return false;
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view version = line.substr(last + 1);
  if (!isToken(method) || method.size() > kMaxMethod) {
    refuse(400, "the method is malformed");
    return false;
  }
  const bool shaped = version.size() == 8 && version.substr(0, 5) == kVersionPrefix && isDigit(version[5]) &&
                      version[6] == '.' && isDigit(version[7]);
  if (!shaped) {
    refuse(400, "the HTTP version is malformed");
    return false;
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    refuse(505, "this server speaks HTTP/1.1 and HTTP/1.0");
    return false;
  }
  head_.method = method;
  head_.target = line.substr(first + 1, last - first - 1);
  head_.minorVersion = version.back() - '0';
  return true;
}

bool RequestGate::parseField(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') {
    refuse(400, "a header field is folded over two lines");
    return false;
  }
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || !isToken(name)) {
    refuse(400, "a header field has no well-formed name");
    return false;
  }
  head_.fields.push_back({std::string(name), std::string(trimmed(line.substr(colon + 1)))});
  return true;
}

bool RequestGate::checkHost() {
  const auto hosts = head_.findAll("Host");
  if (hosts.size() > 1) {
    refuse(400, "the request has more than one Host");
    return false;
  }
  if (hosts.empty() ? head_.minorVersion == 1 : !isHostValue(hosts.front())) {
    refuse(400, "the request has no well-formed Host");
    return false;
  }
  return true;
}

bool RequestGate::checkTarget() {
  std::string &target = head_.target;
  bool good = true;
  for (const char c : target)
    good = good && isTargetChar(c);
  if (good && target == "*") {
    good = head_.method == "OPTIONS";
  } else if (good && !target.empty() && target.front() != '/') {
    // Absolute form, which a server has to accept (RFC 9112 §3.2.2). It has to agree with Host.
    constexpr std::string_view kScheme = "http://";
    good = equalsIgnoreCase(std::string_view(target).substr(0, kScheme.size()), kScheme);
    if (good) {
      const std::size_t slash = target.find_first_of("/?", kScheme.size());
      const std::string authority =
          target.substr(kScheme.size(), slash == std::string::npos ? slash : slash - kScheme.size());
      const auto host = head_.find("Host");
      good = slash != std::string::npos && target[slash] == '/' && host && equalsIgnoreCase(*host, authority);
      if (good) target.erase(0, slash);
    }
  } else {
    good = good && !target.empty();
  }
  if (!good) refuse(400, "the request target is not a path");
  return good;
}

bool RequestGate::checkFraming() {
  const auto lengths = head_.findAll("Content-Length");
  const auto codings = head_.findAll("Transfer-Encoding");
  if (!lengths.empty() && !codings.empty()) {
    refuse(400, "the request has both Content-Length and Transfer-Encoding");
    return false;
  }
  if (!codings.empty()) {
    if (head_.minorVersion == 0 || codings.size() > 1 || !equalsIgnoreCase(codings.front(), "chunked")) {
      refuse(400, "the only Transfer-Encoding accepted is one \"chunked\", on HTTP/1.1");
      return false;
    }
    head_.framing = BodyFraming::Chunked;
    return true;
  }
  if (lengths.empty()) return true;
  const std::string_view digits = lengths.front();
  bool good = lengths.size() == 1 && !digits.empty() && digits.size() <= 18;
  for (const char c : digits)
    good = good && isDigit(c);
  if (!good) {
    refuse(400, "Content-Length has to be one decimal number");
    return false;
  }
  for (const char c : digits)
    head_.contentLength = head_.contentLength * 10 + static_cast<std::uint64_t>(c - '0');
  if (head_.contentLength != 0) head_.framing = BodyFraming::Length;
  return true;
}

bool RequestGate::checkExpectation() {
  const auto expectations = head_.findAll("Expect");
  // An HTTP/1.0 client's expectation is ignored (RFC 9110 §10.1.1).
  if (expectations.empty() || head_.minorVersion == 0) return true;
  if (expectations.size() > 1 || !equalsIgnoreCase(expectations.front(), "100-continue")) {
    refuse(417, "the only expectation met here is 100-continue");
    return false;
  }
  head_.expectContinue = head_.framing != BodyFraming::None;
  return true;
}

bool RequestGate::checkConnection() {
  int options = 0;
  bool close = false;
  bool keep = false;
  for (std::string_view list : head_.findAll("Connection")) {
    while (!list.empty()) {
      const std::size_t comma = list.find(',');
      const std::string_view option = trimmed(list.substr(0, comma));
      if (!option.empty() && (!isToken(option) || ++options > kMaxConnectionOptions)) {
        refuse(400, "the Connection header is malformed");
        return false;
      }
      close = close || equalsIgnoreCase(option, "close");
      keep = keep || equalsIgnoreCase(option, "keep-alive");
      list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
  }
  head_.keepAlive = !close && (head_.minorVersion == 1 || keep);
  return true;
}

} // namespace matrixos::api

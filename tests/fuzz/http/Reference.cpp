#include "Reference.h"

#include <stdexcept>

namespace matrixos::http::fuzz {

namespace {

struct Short {}; // the stream ends here

[[noreturn]] void wrong(const std::string &what) {
  throw std::logic_error(what);
}

bool isDigit(char c) {
  return c >= '0' && c <= '9';
}
bool isName(char c) {
  return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// Takes lines and bytes off the front of a stream.
class Reader {
public:
  explicit Reader(std::string_view stream) : stream_(stream) {}

  bool empty() const { return stream_.empty(); }
  std::size_t left() const { return stream_.size(); }
  std::string_view line() {
    const std::size_t end = stream_.find("\r\n");
    if (end == std::string_view::npos) throw Short{};
    const std::string_view out = stream_.substr(0, end);
    for (const char c : out) {
      if (c == '\r' || c == '\n' || c == '\0') wrong("a line break or NUL inside a line");
    }
    stream_.remove_prefix(end + 2);
    return out;
  }
  std::string_view bytes(std::size_t size) {
    if (stream_.size() < size) throw Short{};
    const std::string_view out = stream_.substr(0, size);
    stream_.remove_prefix(size);
    return out;
  }
  std::string_view rest() { return std::exchange(stream_, {}); }

private:
  std::string_view stream_;
};

void readFields(Reader &in, std::vector<std::pair<std::string, std::string>> &out) {
  for (std::string_view line = in.line(); !line.empty(); line = in.line()) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos || colon == 0) wrong("no field: " + std::string(line));
    std::string name;
    for (const char c : line.substr(0, colon)) {
      if (!isName(c)) wrong("no name: " + std::string(line));
      name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    const std::string_view value = line.substr(colon + 2);
    for (const char c : value) {
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f') wrong("a control byte in a value");
    }
    if (!value.empty() && (value.front() == ' ' || value.back() == ' ' || value.back() == '\t')) wrong("a loose blank");
    out.emplace_back(name, value);
  }
}

void readChunks(Reader &in, std::string &body) {
  for (;;) {
    const std::string_view line = in.line();
    std::size_t size = 0;
    if (line.empty() || line.size() > 8 || (line.front() == '0' && line.size() > 1)) wrong("no chunk size");
    for (const char c : line) {
      if (!isDigit(c) && (c < 'a' || c > 'f')) wrong("no chunk size: " + std::string(line));
      size = size * 16 + static_cast<std::size_t>(isDigit(c) ? c - '0' : c - 'a' + 10);
    }
    if (size == 0) break;
    body += in.bytes(std::min(size, in.left()));
    if (size > 0 && in.empty()) throw Short{};
    if (!in.line().empty()) wrong("a chunk that is longer than it says");
  }
  std::vector<std::pair<std::string, std::string>> trailers;
  readFields(in, trailers);
  for (const auto &[name, value] : trailers) {
    for (const char *never : {"content-length", "transfer-encoding", "host", "set-cookie", "authorization"}) {
      if (name == never) wrong("a trailer that must not be one: " + name);
    }
  }
}

/// Length of the body by Content-Length; npos when there is none.
std::size_t readLength(const Message &message) {
  if (message.count("content-length") > 1) wrong("two lengths");
  const std::string length = message.field("content-length");
  if (message.count("content-length") == 0) return std::string::npos;
  if (length.empty() || length.size() > 18) wrong("no length: " + length);
  for (const char c : length) {
    if (!isDigit(c)) wrong("no length: " + length);
  }
  return std::stoul(length);
}

void readLengthBody(Reader &in, std::size_t size, std::string &body) {
  if (size > in.left()) {
    body += in.rest();
    throw Short{};
  }
  body += in.bytes(size);
}

void requireOneFraming(const Message &message) {
  const std::size_t codings = message.count("transfer-encoding");
  if (codings > 1 || (codings == 1 && message.field("transfer-encoding") != "chunked")) wrong("a strange coding");
  if (codings == 1 && message.count("content-length") != 0) wrong("a length and a coding");
  for (const char *hop :
       {"keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer"}) {
    if (message.count(hop) != 0) wrong(std::string("a field of one connection: ") + hop);
  }
}

void readRequest(Reader &in, Message &out) {
  const std::string_view line = in.line();
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || line.substr(last) != " HTTP/1.1") wrong("no request line");
  out.method = line.substr(0, first);
  out.target = line.substr(first + 1, last - first - 1);
  for (const char c : out.method) {
    if (!isName(c)) wrong("no method: " + out.method);
  }
  if (out.method.empty() || out.target.empty() || (out.target.front() != '/' && out.target != "*")) wrong("no target");
  for (const char c : out.target) {
    if (c <= 0x20 || c >= 0x7f) wrong("no target: " + out.target);
  }
  readFields(in, out.fields);
  requireOneFraming(out);
  if (out.count("host") != 1) wrong("not exactly one Host");
  const std::string connection = out.field("connection");
  const bool upgrade = connection == "Upgrade" && out.field("upgrade") == "websocket";
  if (!upgrade && ((!connection.empty() && connection != "close") || out.count("upgrade") != 0)) wrong("a Connection");
  if (out.count("transfer-encoding") != 0) return readChunks(in, out.body);
  const std::size_t size = readLength(out);
  if (size != std::string::npos) readLengthBody(in, size, out.body);
}

/// False: the body goes on until the stream ends.
bool readResponse(Reader &in, const std::string &method, Message &out) {
  const std::string_view line = in.line();
  if (line.substr(0, 9) != "HTTP/1.1 " || line.size() < 13 || line[12] != ' ') wrong("no status line");
  for (const char c : line.substr(9, 3)) {
    if (!isDigit(c)) wrong("no status: " + std::string(line));
  }
  out.status = std::stoi(std::string(line.substr(9, 3)));
  readFields(in, out.fields);
  requireOneFraming(out);
  const std::size_t size = readLength(out);
  if (out.status < 200 || out.status == 204) {
    if (out.count("transfer-encoding") != 0 || (size != std::string::npos && size != 0))
      wrong("a body where none is allowed");
    return true;
  }
  if (out.status == 304 || method == "HEAD") return true;
  if (out.count("transfer-encoding") != 0) {
    readChunks(in, out.body);
    return true;
  }
  if (size == std::string::npos) {
    if (out.field("connection") != "close") wrong("a body without an end on a connection that stays");
    out.body = in.rest();
    return false;
  }
  readLengthBody(in, size, out.body);
  return true;
}

} // namespace

std::string Message::field(std::string_view lowerName) const {
  std::string out;
  for (const auto &[name, value] : fields) {
    if (name == lowerName) out = value;
  }
  return out;
}

std::size_t Message::count(std::string_view lowerName) const {
  std::size_t found = 0;
  for (const auto &[name, value] : fields)
    found += name == lowerName ? 1 : 0;
  return found;
}

std::vector<Message> readRequests(std::string_view stream, std::string_view mark) {
  std::vector<Message> out;
  Reader in(stream);
  bool asked = false; // for a tunnel
  try {
    while (!in.empty()) {
      out.emplace_back();
      readRequest(in, out.back());
      out.back().whole = true;
      if (asked && out.back().count(mark) == 0) {
        out.pop_back();
        break;
      }
      asked = asked || out.back().count("upgrade") != 0;
    }
  } catch (const Short &) {
    // The last one is not whole.
  } catch (const std::logic_error &) {
    if (!asked) throw;
    out.pop_back();
  }
  return out;
}

std::vector<Message> readCleanRequests(std::string_view stream, bool &clean) {
  std::vector<Message> out;
  Reader in(stream);
  try {
    while (!in.empty()) {
      out.emplace_back();
      readRequest(in, out.back());
      out.back().whole = true;
    }
  } catch (const Short &) {
    // The last one is not whole.
  } catch (const std::logic_error &) {
    clean = false;
    out.pop_back();
  }
  return out;
}

std::vector<Message> readResponses(std::string_view stream, const std::vector<std::string> &methods, bool closed) {
  std::vector<Message> out;
  Reader in(stream);
  std::size_t finals = 0;
  try {
    while (!in.empty()) {
      out.emplace_back();
      // What was refused before it became a request has an answer too; its method does not matter.
      if (finals > methods.size()) wrong("an answer to nothing");
      const bool ends = readResponse(in, finals < methods.size() ? methods[finals] : std::string(), out.back());
      out.back().whole = ends || closed;
      if (out.back().status == 101) break;
      if (out.back().status < 200) continue;
      ++finals;
      if (out.back().field("connection") == "close" && !in.empty()) wrong("something behind the last answer");
    }
  } catch (const Short &) {
    // The last one is not whole.
  }
  return out;
}

} // namespace matrixos::http::fuzz

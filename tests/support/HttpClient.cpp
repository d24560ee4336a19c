#include "support/HttpClient.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace matrixos::test {

using Clock = std::chrono::steady_clock;

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

template <typename Where>
Response exchange(const Where &where, const std::string &method, const std::string &target, const Headers &headers,
                  const std::string &body) {
  RawConnection connection(where);
  connection.send(requestText(method, target, headers, body));
  return connection.receiveResponse(method == "HEAD");
}

} // namespace

std::string requestText(const std::string &method, const std::string &target, const Headers &headers,
                        const std::string &body) {
  std::string text = method + " " + target + " HTTP/1.1\r\n";
  bool host = false;
  for (const auto &[name, value] : headers) {
    text += name + ": " + value + "\r\n";
    host = host || lower(name) == "host";
  }
  if (!host) text += "Host: localhost\r\n";
  if (!body.empty() || method == "POST" || method == "PUT") {
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return text + "Connection: close\r\n\r\n" + body;
}

void RawConnection::send(const std::string &bytes) {
  sendAll(fd(), bytes); // the peer may have closed; its answer may still be there
}

void RawConnection::shutdownWrite() {
  ::shutdown(fd(), SHUT_WR);
}

bool RawConnection::fill(Clock::time_point end) {
  if (closed_) return false;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
  pollfd poll{fd(), POLLIN, 0};
  if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) <= 0) return false;
  std::array<char, 65536> chunk{};
  const ssize_t n = ::recv(fd(), chunk.data(), chunk.size(), 0);
  if (n <= 0)
    closed_ = true;
  else
    buffer_.append(chunk.data(), static_cast<std::size_t>(n));
  return n > 0;
}

std::string RawConnection::takeBytes(std::size_t count, Clock::time_point end) {
  while (buffer_.size() < count && fill(end)) {
  }
  std::string bytes = buffer_.substr(0, count);
  buffer_.erase(0, bytes.size());
  return bytes;
}

std::string RawConnection::takeLine(Clock::time_point end) {
  std::size_t at = buffer_.find("\r\n");
  while (at == std::string::npos && fill(end))
    at = buffer_.find("\r\n");
  if (at == std::string::npos) return {};
  std::string line = buffer_.substr(0, at);
  buffer_.erase(0, at + 2);
  return line;
}

std::string RawConnection::receive(std::size_t count, std::chrono::milliseconds limit) {
  return takeBytes(count, Clock::now() + limit);
}

Response RawConnection::receiveResponse(bool toHead, std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  Response response;
  const std::string start = takeLine(end);
  if (start.size() < 12) return response;
  const int status = std::stoi(start.substr(9, 3));
  for (std::string line = takeLine(end); !line.empty(); line = takeLine(end)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) return response;
    std::string &value = response.headers[lower(line.substr(0, colon))];
    std::string text = line.substr(colon + 1);
    text.erase(0, text.find_first_not_of(' '));
    value += (value.empty() ? "" : ", ") + text;
  }
  if (status / 100 == 1 && status != 101) return receiveResponse(toHead, limit);
  if (toHead || status == 101 || status == 204 || status == 304) {
    response.status = status;
  } else if (response.headers.count("transfer-encoding") != 0) {
    for (;;) {
      const std::string size = takeLine(end);
      if (size.empty()) return response;
      const std::size_t count = std::stoul(size, nullptr, 16);
      const std::string part = takeBytes(count, end);
      response.body += part;
      if (part.size() < count) return response;
      takeLine(end);
      if (count == 0) break;
    }
    response.status = status;
  } else if (const auto length = response.headers.find("content-length"); length != response.headers.end()) {
    const std::size_t count = std::stoul(length->second);
    response.body = takeBytes(count, end);
    if (response.body.size() == count) response.status = status;
  } else {
    response.body = takeBytes(SIZE_MAX, end);
    if (closed_) response.status = status;
  }
  return response;
}

Response request(std::uint16_t port, const std::string &method, const std::string &target, const Headers &headers,
                 const std::string &body) {
  return exchange(port, method, target, headers, body);
}

Response request(const std::filesystem::path &socket, const std::string &method, const std::string &target,
                 const Headers &headers, const std::string &body) {
  return exchange(socket, method, target, headers, body);
}

std::string webSocketEcho(std::uint16_t port, const std::string &host, const std::string &path, const std::string &text,
                          int &status) {
  RawConnection connection(port);
  connection.send("GET " + path + " HTTP/1.1\r\nHost: " + host +
                  "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  status = connection.receiveResponse().status;
  if (status != 101 || text.size() > 125) return {};
  std::string frame{static_cast<char>(0x81), static_cast<char>(0x80U | text.size())};
  const std::string mask = "\x11\x22\x33\x44";
  frame += mask;
  for (std::size_t i = 0; i < text.size(); ++i)
    frame += static_cast<char>(text[i] ^ mask[i % 4]);
  connection.send(frame);
  // A fixture may greet before it echoes: frames are read until the text comes back.
  for (int frames = 0; frames < 16; ++frames) {
    const std::string head = connection.receive(2);
    if (head.size() < 2) return {};
    std::size_t size = static_cast<unsigned char>(head[1]) & 0x7FU;
    if (size == 126) {
      const std::string extended = connection.receive(2);
      size = static_cast<std::size_t>(static_cast<unsigned char>(extended[0]) << 8U |
                                      static_cast<unsigned char>(extended[1]));
    }
    const std::string payload = connection.receive(size);
    if (payload == text) return payload;
  }
  return {};
}

} // namespace matrixos::test

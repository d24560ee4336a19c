/// Streams that a change must not touch: an event stream, a WebSocket and half an upload, and the instance behind them.
#pragma once

#include "Kit.h"

#include <doctest/doctest.h>

#include <string>

namespace kit {

/// A whole WebSocket handshake, and its answer.
inline std::string upgradeOf(const std::string &host) {
  return "GET /ws HTTP/1.1\r\nHost: " + host +
         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
}
inline const std::string kSwitch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A script of an Upstream: event streams that go on, WebSockets that echo bytes, an echo of bodies, in two halves with
/// a pause between them for /slow.
inline void serveStreams(Conn &conn) {
  for (std::string head = conn.readHead(); !head.empty(); head = conn.readHead()) {
    if (head.find("GET /events ") == 0) {
      conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
      while (conn.send("data: x\n\n"))
        std::this_thread::sleep_for(5ms);
      return;
    }
    if (head.find("GET /ws ") == 0) {
      conn.send(kSwitch);
      for (std::string byte = conn.readExactly(1); !byte.empty(); byte = conn.readExactly(1))
        conn.send(byte);
      return;
    }
    const std::string length = fieldOf(head, "Content-Length");
    const std::string body = length.empty() ? "ok" : conn.readExactly(std::stoul(length));
    const std::size_t half = body.size() / 2;
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, half));
    if (head.find(" /slow ") != std::string::npos) std::this_thread::sleep_for(20ms);
    if (!conn.send(body.substr(half))) return;
  }
}

/// One of each, begun before a change, through the proxy on that port.
struct Streams {
  Streams(std::uint16_t port, const std::string &host)
      : events(Conn::to(port)), socket(Conn::to(port)), upload(Conn::to(port)) {
    events.send("GET /events HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    CHECK(events.readHead().substr(0, 12) == "HTTP/1.1 200");
    socket.send(upgradeOf(host));
    CHECK(socket.readHead().substr(0, 12) == "HTTP/1.1 101");
    upload.send("POST /upload HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 200000\r\n\r\n");
    upload.send(std::string(100'000, 'a'));
    goOn();
  }
  /// Each of them still brings what it should.
  void goOn() {
    CHECK(events.readExactly(90).find("data: x") != std::string::npos);
    // A whole ping frame, so that the tunnel stands between two frames; it comes back as it went.
    const std::string ping("\x89\x80\0\0\0\0", 6);
    socket.send(ping);
    CHECK(socket.readExactly(6) == ping);
  }
  void end() {
    goOn();
    upload.send(std::string(100'000, 'b'));
    const auto answer = upload.readResponse();
    CHECK(answer.status == 200);
    CHECK(answer.body == std::string(100'000, 'a') + std::string(100'000, 'b'));
  }
  Conn events, socket, upload;
};

} // namespace kit

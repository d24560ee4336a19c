#include "ShapeBytes.h"

#include "Bytes.h"

#include <cmath>

namespace matrixos::simulated {

namespace {

constexpr double kNanos = 1e9;

} // namespace

std::string encodeShape(const Shape &shape) {
  ByteWriter out;
  out.text(shape.image).text(shape.digest).number(shape.memoryBytes);
  out.number(static_cast<std::int64_t>(std::llround(shape.cpus * kNanos))).number(static_cast<int>(shape.restart));
  out.number(static_cast<std::uint64_t>(shape.networks.size()));
  for (const std::string &network : shape.networks)
    out.text(network);
  out.number(static_cast<std::uint64_t>(shape.ports.size()));
  for (const PortSpec &port : shape.ports)
    out.text(port.name).number(static_cast<std::uint32_t>(port.containerPort)).text(port.hostAddress);
  return std::move(out).str();
}

Shape decodeShape(std::string_view bytes) {
  ByteReader in(bytes);
  Shape shape;
  shape.image = in.text();
  shape.digest = in.text();
  shape.memoryBytes = in.as<std::int64_t>();
  shape.cpus = static_cast<double>(in.as<std::int64_t>()) / kNanos;
  shape.restart = static_cast<Restart>(in.as<std::uint8_t>() & 3U);
  for (std::uint64_t left = in.number(); left > 0; --left)
    shape.networks.emplace_back(in.text());
  for (std::uint64_t left = in.number(); left > 0; --left) {
    PortSpec &port = shape.ports.emplace_back();
    port.name = in.text();
    port.containerPort = in.as<std::uint16_t>();
    port.hostAddress = in.text();
  }
  return shape;
}

} // namespace matrixos::simulated

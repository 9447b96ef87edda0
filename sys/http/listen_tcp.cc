#include "sys/http/listen_tcp.h"

#include <boost/asio/ip/address.hpp>

namespace weft::sys {

Result<Ok> listen_tcp(boost::asio::ip::tcp::acceptor& acceptor, const Endpoint& address) {
  namespace asio = boost::asio;
  const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(address.address.to_string()),
                                         address.port);
  boost::system::error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) {
    acceptor.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
  }
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (!error) {
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    return Error{
        Errc::Os, "listen on " + address.to_string() + ": " + error.message(), error.value()};
  }
  return Ok{};
}

}  // namespace weft::sys

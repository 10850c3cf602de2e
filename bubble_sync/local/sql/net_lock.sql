-- Both tables or none, and without a wait: DROP EXTENSION locks them in an order of its own, so a wait may be a deadlock.
lock table net.http_request_queue, net._http_response in row exclusive mode nowait;

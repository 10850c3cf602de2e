delete from net._http_response
where ctid = any (array(
    select ctid
    from net._http_response
    where created < now() - %(ttl)s
    order by created
    limit %(most)s
));

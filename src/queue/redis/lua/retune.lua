-- How many turns an account has, and their interval, from now on. ARGV: ..., turns, interval in ms.
set_line('turns', ARGV[3])
set_line('interval', ARGV[4])
settle()
serve()
return reply('done')

shello

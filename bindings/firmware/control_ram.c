int planted = 1;
